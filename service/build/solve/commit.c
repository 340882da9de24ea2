#include "service/build/solve/commit.h"

#include <pthread.h>

#include "proto/runtime/clock.h"
#include "service/build/layers/build_tree.h"

enum { BATCH_MAX = 256, GATHER_MS = 100 };

struct entry {
	struct commit_item item;
	struct entry *next;
};

struct committer {
	struct step_cache *cache;
	pthread_t thread;
	pthread_mutex_t mu;
	pthread_cond_t work;
	/* Guarded by mu. */
	struct entry *first, **last;
	bool started, closing;
	struct err failure; /* the first */
};

int committer_new(struct step_cache *cache, struct committer **ret_committer, struct err *err)
{
	struct committer *c = calloc(1, sizeof *c);

	if (!c)
		return fail_nomem(err);
	c->cache = cache;
	c->last = &c->first;
	pthread_mutex_init(&c->mu, NULL);
	cond_init_monotonic(&c->work);
	*ret_committer = c;
	return OK;
}

/* ---- putting ---------------------------------------------------------------------- */

static void entry_free(struct entry *e)
{
	flight_unref(e->item.flight);
	build_layer_unref(e->item.layer);
	free(e->item.description);
	free((void *)e->item.note.data);
	free(e);
}

static struct step_made made_of(const struct commit_item *item)
{
	struct step_made made = {
		.n_keys = item->n_keys,
		.result = *build_layer_result(item->layer),
		.ingest = build_layer_ingest(item->layer),
		.image = build_layer_image(item->layer),
		.description = item->description ? item->description : "",
		.kind = "regular",
	};

	memcpy(made.keys, item->keys, sizeof made.keys);
	return made;
}

/* Only the flight keeps its pin. */
static void settle(struct committer *c, const struct entry *e, const struct err *why)
{
	if (why->code == OK && e->item.flight)
		build_layer_settle(e->item.layer);
	if (why->code == OK && !e->item.flight)
		step_cache_unpin(c->cache, &e->item.keys[0]);
	if (e->item.flight)
		flight_settled(e->item.flight, why);
}

/* A result without its note is found less often. */
static void put_notes(struct committer *c, const struct entry *batch)
{
	CLEANUP(freep) struct step_note *notes = calloc(BATCH_MAX, sizeof *notes);
	size_t n = 0;

	for (; notes && batch; batch = batch->next)
		if (batch->item.note.data)
			notes[n++] = (struct step_note){ batch->item.note_key, batch->item.note };
	if (n)
		step_cache_put_notes(c->cache, notes, n, NULL);
}

static void put(struct committer *c, struct entry *batch)
{
	CLEANUP(freep) struct step_made *made = calloc(BATCH_MAX, sizeof *made);
	struct err err = ERR_INIT, kept = ERR_INIT;
	struct entry *e, *next;
	size_t n = 0;
	int r;

	for (e = batch; made && e; e = e->next)
		made[n++] = made_of(&e->item);
	r = made ? step_cache_put(c->cache, made, n, &err) : fail_nomem(&err);
	if (r == OK)
		put_notes(c, batch);
	for (e = batch; e; e = next) {
		next = e->next;
		settle(c, e, r == OK ? &kept : &err);
		entry_free(e);
	}
	pthread_mutex_lock(&c->mu);
	if (r != OK && c->failure.code == OK)
		c->failure = err;
	pthread_mutex_unlock(&c->mu);
}

/* One that has the first key of another one comes in the next batch. */
static bool is_among(const struct entry *batch, const struct entry *e)
{
	for (; batch != e; batch = batch->next)
		if (digest_eq(&batch->item.keys[0], &e->item.keys[0]))
			return true;
	return false;
}

/* With the lock. A batch of several is synced once, and short steps come one after another. */
static void wait_batch(struct committer *c)
{
	struct timespec until;
	int rc = 0;

	while (!c->first && !c->closing)
		pthread_cond_wait(&c->work, &c->mu);
	until = clock_deadline(GATHER_MS);
	while (!c->closing && !rc)
		rc = pthread_cond_timedwait(&c->work, &c->mu, &until);
}

/* Waits for some; NULL: there will be none. */
static struct entry *take_batch(struct committer *c)
{
	struct entry *batch, **end;
	size_t n = 0;

	pthread_mutex_lock(&c->mu);
	wait_batch(c);
	batch = c->first;
	for (end = &batch; *end && n < BATCH_MAX && !is_among(batch, *end); n++)
		end = &(*end)->next;
	c->first = *end;
	*end = NULL;
	if (!c->first)
		c->last = &c->first;
	pthread_mutex_unlock(&c->mu);
	return batch;
}

static void put_all(struct committer *c)
{
	struct entry *batch;

	while ((batch = take_batch(c)))
		put(c, batch);
}

static void *thread_main(void *arg)
{
	pthread_setname_np(pthread_self(), "build-commit");
	put_all(arg);
	return NULL;
}

/* ---- its users ---------------------------------------------------------------------- */

/* With the lock. Without a thread the last one does it, in committer_close(). */
static void start(struct committer *c)
{
	if (!c->started)
		c->started = !pthread_create(&c->thread, NULL, thread_main, c);
}

static void lose(struct committer *c, const struct commit_item *item)
{
	struct err err = ERR_INIT;

	fail_nomem(&err);
	if (item->flight)
		flight_settled(item->flight, &err);
	flight_unref(item->flight);
	build_layer_unref(item->layer);
	free(item->description);
	free((void *)item->note.data);
	pthread_mutex_lock(&c->mu);
	if (c->failure.code == OK)
		c->failure = err;
	pthread_mutex_unlock(&c->mu);
}

void committer_add(struct committer *c, const struct commit_item *item)
{
	struct entry *e = calloc(1, sizeof *e);

	if (!e) {
		lose(c, item);
		return;
	}
	e->item = *item;
	pthread_mutex_lock(&c->mu);
	*c->last = e;
	c->last = &e->next;
	start(c);
	pthread_cond_signal(&c->work);
	pthread_mutex_unlock(&c->mu);
}

int committer_close(struct committer *c, struct err *err)
{
	struct err failure;

	if (!c)
		return OK;
	pthread_mutex_lock(&c->mu);
	c->closing = true;
	pthread_cond_signal(&c->work);
	pthread_mutex_unlock(&c->mu);
	if (c->started)
		pthread_join(c->thread, NULL);
	put_all(c);
	failure = c->failure;
	pthread_cond_destroy(&c->work);
	pthread_mutex_destroy(&c->mu);
	free(c);
	if (failure.code != OK && err)
		*err = failure;
	return failure.code;
}

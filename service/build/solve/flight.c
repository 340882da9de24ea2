#include "service/build/solve/flight.h"

#include "proto/runtime/clock.h"
#include "service/build/solve/solver.h"

enum { LOG_KEPT_MAX = 256 * 1024, LOG_HEAD = 1 + sizeof(uint32_t), LOOK_MS = 100 };

/* ---- life ------------------------------------------------------------------------ */

static struct flight *flight_new(struct solver *s, const struct digest *key)
{
	struct flight *f = calloc(1, sizeof *f);

	if (!f)
		return NULL;
	f->cancel = cancel_new();
	if (!f->cancel) {
		free(f);
		return NULL;
	}
	f->solver = s;
	f->key = *key;
	f->refs = 1;
	f->log = (struct buf)BUF_INIT(LOG_KEPT_MAX);
	pthread_mutex_init(&f->log_mu, NULL);
	return f;
}

static void flight_free(struct flight *f)
{
	if (f->pinned)
		step_cache_unpin(f->solver->options.cache, &f->pin);
	build_layer_unref(f->layer);
	cancel_unref(f->cancel);
	pthread_mutex_destroy(&f->log_mu);
	buf_free(&f->log);
	free(f->why);
	free(f);
}

void flight_ref(struct flight *f)
{
	pthread_mutex_lock(&f->solver->mu);
	f->refs++;
	pthread_mutex_unlock(&f->solver->mu);
}

void flight_unref(struct flight *f)
{
	struct solver *s;
	bool last;

	if (!f)
		return;
	s = f->solver;
	pthread_mutex_lock(&s->mu);
	last = !--f->refs;
	pthread_mutex_unlock(&s->mu);
	if (last)
		flight_free(f);
}

/* With the solver's lock: nobody finds it any more. */
static void unlist(struct flight *f)
{
	if (f->listed)
		HASH_DEL(f->solver->flights, f);
	f->listed = false;
}

/* ---- logs ------------------------------------------------------------------------ */

/* Pieces behind their stream and length; what does not fit is only for those who were there. */
static void keep_log(struct flight *f, enum run_stream stream, struct bytes data)
{
	uint8_t head[LOG_HEAD] = { (uint8_t)stream };
	uint32_t len = (uint32_t)data.len;

	if (f->log.len + LOG_HEAD + data.len > LOG_KEPT_MAX)
		return;
	memcpy(head + 1, &len, sizeof len);
	if (buf_append(&f->log, head, LOG_HEAD) && !buf_append(&f->log, data.data, data.len))
		f->log.len -= LOG_HEAD;
}

/* Who listens alone may take its time, and gets all; whoever comes or goes ends that. */
static void wait_for_reader(struct flight *f)
{
	bool waits = true;

	while (waits) {
		pthread_mutex_lock(&f->log_mu);
		waits = !atomic_load(&f->at_log) && f->listeners && !f->listeners->next_listener &&
			!vertex_has_room(f->listeners->vertex, LOOK_MS);
		pthread_mutex_unlock(&f->log_mu);
	}
}

/* One whose client does not read holds up nobody but itself. */
void flight_log(struct flight *f, enum run_stream stream, struct bytes data)
{
	wait_for_reader(f);
	pthread_mutex_lock(&f->log_mu);
	keep_log(f, stream, data);
	for (const struct participant *p = f->listeners; p; p = p->next_listener)
		vertex_log(p->vertex, stream == RUN_STDERR, data);
	pthread_mutex_unlock(&f->log_mu);
}

static void lock_log(struct flight *f)
{
	atomic_fetch_add(&f->at_log, 1);
	pthread_mutex_lock(&f->log_mu);
	atomic_fetch_sub(&f->at_log, 1);
}

static void replay(const struct flight *f, struct vertex *v)
{
	for (size_t at = 0; at + LOG_HEAD <= f->log.len;) {
		const uint8_t *head = f->log.data + at;
		uint32_t len;

		memcpy(&len, head + 1, sizeof len);
		vertex_log(v, head[0] == RUN_STDERR, (struct bytes){ head + LOG_HEAD, len });
		at += LOG_HEAD + len;
	}
}

static void listen_to(struct flight *f, struct participant *p)
{
	lock_log(f);
	replay(f, p->vertex);
	p->next_listener = f->listeners;
	f->listeners = p;
	pthread_mutex_unlock(&f->log_mu);
}

static void stop_listening(struct flight *f, const struct participant *p)
{
	struct participant **at;

	lock_log(f);
	for (at = &f->listeners; *at && *at != p;)
		at = &(*at)->next_listener;
	if (*at)
		*at = p->next_listener;
	pthread_mutex_unlock(&f->log_mu);
}

/* ---- coming in -------------------------------------------------------------------- */

/* With the solver's lock. */
static struct flight *find(struct solver *s, const struct digest *key)
{
	struct flight *f;

	HASH_FIND(hh, s->flights, key, sizeof *key, f);
	if (f) {
		f->refs++;
		f->joining++;
	}
	return f;
}

static bool list(struct solver *s, struct flight *f)
{
	HASH_ADD(hh, s->flights, key, sizeof f->key, f);
	f->listed = HASH_ADDED(f);
	return f->listed;
}

static void add_participant(struct flight *f, struct participant *p)
{
	p->flight = f;
	p->next = f->participants;
	f->participants = p;
}

static int own(struct solver *s, const struct digest *key, bool alone, struct participant *p, struct flight **ret_other,
	       struct err *err)
{
	struct flight *f = flight_new(s, key);
	bool listed = false;

	if (!f)
		return fail_nomem(err);
	f->listeners = p;
	f->owner = p;
	p->next_listener = NULL;
	pthread_mutex_lock(&s->mu);
	*ret_other = alone ? NULL : find(s, key);
	if (!*ret_other) {
		listed = alone || list(s, f);
		if (listed)
			add_participant(f, p);
	}
	pthread_mutex_unlock(&s->mu);
	if (listed)
		return OK;
	flight_free(f);
	return *ret_other ? OK : fail_nomem(err);
}

/* False: it has failed meanwhile, and somebody has to make it. */
static bool join(struct flight *f, struct participant *p, enum flight_role *ret_role)
{
	enum flight_state state;

	listen_to(f, p);
	pthread_mutex_lock(&f->solver->mu);
	f->joining--;
	state = f->state;
	if (state == FLIGHT_RUNNING)
		add_participant(f, p);
	else if (state == FLIGHT_MADE || state == FLIGHT_KEPT)
		p->flight = f;
	pthread_mutex_unlock(&f->solver->mu);
	if (state != FLIGHT_RUNNING)
		stop_listening(f, p);
	*ret_role = state == FLIGHT_RUNNING ? FLIGHT_WAIT : FLIGHT_READY;
	return state != FLIGHT_FAILED && state != FLIGHT_LOST;
}

int flight_take(struct solver *s, const struct digest *key, bool alone, struct participant *p,
		enum flight_role *ret_role, struct err *err)
{
	for (;;) {
		struct flight *other = NULL;
		int r = own(s, key, alone, p, &other, err);

		*ret_role = FLIGHT_OWN;
		if (r != OK || !other || join(other, p, ret_role))
			return r;
		flight_unref(other);
	}
}

/* ---- going out --------------------------------------------------------------------- */

static void forget_listeners(struct flight *f)
{
	pthread_mutex_lock(&f->log_mu);
	f->listeners = NULL;
	pthread_mutex_unlock(&f->log_mu);
}

void flight_end(struct flight *f, struct build_layer *layer, const struct err *why)
{
	struct participant *p, *next;

	f->layer = layer ? build_layer_ref(layer) : NULL;
	pthread_mutex_lock(&f->solver->mu);
	f->state = layer ? FLIGHT_MADE : FLIGHT_FAILED;
	if (!layer)
		unlist(f);
	p = TAKE(f->participants);
	pthread_mutex_unlock(&f->solver->mu);
	forget_listeners(f);
	for (; p; p = next) {
		next = p->next;
		p->done(p, f, why);
	}
}

void flight_settled(struct flight *f, const struct err *why)
{
	struct solver *s = f->solver;
	struct err *copy = why->code == OK ? NULL : malloc(sizeof *copy);

	if (copy)
		*copy = *why;
	pthread_mutex_lock(&s->mu);
	f->state = why->code == OK ? FLIGHT_KEPT : FLIGHT_LOST;
	f->pinned = why->code == OK;
	f->why = copy;
	unlist(f);
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->mu);
}

/* With the solver's lock. */
static bool leave(struct flight *f, const struct participant *p)
{
	struct participant **at = &f->participants;

	while (*at && *at != p)
		at = &(*at)->next;
	if (!*at)
		return false;
	*at = p->next;
	return true;
}

bool flight_quit(struct solver *s, struct participant *p)
{
	bool found, last;
	struct flight *f;

	pthread_mutex_lock(&s->mu);
	f = p->flight;
	found = f && leave(f, p);
	last = found && !f->participants && !f->joining && f->state == FLIGHT_RUNNING;
	if (last)
		unlist(f); /* it will fail: who comes now begins again */
	pthread_mutex_unlock(&s->mu);
	if (last)
		cancel_fire(f->cancel, E_CANCELLED);
	if (found)
		stop_listening(f, p);
	return found;
}

void flight_forget(struct participant *p)
{
	struct flight *f = p->flight;

	pthread_mutex_lock(&f->solver->mu);
	p->flight = NULL;
	pthread_mutex_unlock(&f->solver->mu);
	flight_unref(f);
}

static enum flight_state state_of(struct flight *f)
{
	struct timespec until = clock_deadline(LOOK_MS);
	struct solver *s = f->solver;
	enum flight_state state;

	pthread_mutex_lock(&s->mu);
	if (f->state == FLIGHT_MADE)
		pthread_cond_timedwait(&s->changed, &s->mu, &until);
	state = f->state;
	pthread_mutex_unlock(&s->mu);
	return state;
}

int flight_wait_kept(struct flight *f, struct cancel *cancel, struct err *err)
{
	enum flight_state state;

	while ((state = state_of(f)) == FLIGHT_MADE)
		if (cancel_check(cancel, err) < 0)
			return err->code;
	if (state == FLIGHT_KEPT)
		return OK;
	if (!f->why)
		return fail_nomem(err);
	return fail(err, f->why->code, "%s", f->why->text);
}

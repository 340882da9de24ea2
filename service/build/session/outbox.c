#include "service/build/session/outbox.h"

#include <pthread.h>

#include "proto/runtime/clock.h"
#include "proto/runtime/mem.h"

enum { BYTES_MAX = 1024 * 1024, IMPATIENT_MS = 1000 };

struct letter {
	struct letter *next;
	size_t len;
	uint8_t data[];
};

struct outbox {
	struct progress_sink sink;
	pthread_t thread;
	pthread_mutex_t mu;
	pthread_cond_t more, less;
	/* Guarded by mu. */
	struct letter *first, **last;
	size_t bytes; /* of those, and of the one that is being sent */
	bool closing;
	bool gone;    /* the client takes nothing any more */
	bool is_slow; /* somebody has waited in vain; until it has taken all */
};

/* ---- out -------------------------------------------------------------------------- */

/* A client that has gone once is not tried again: each time could take as long as it is
 * given to read. */
static bool is_gone(int code)
{
	return code == E_CANCELLED || code == E_DEADLINE || code == E_UNAVAILABLE;
}

static struct letter *take(struct outbox *o)
{
	struct letter *l;

	pthread_mutex_lock(&o->mu);
	while (!o->first && !o->closing)
		pthread_cond_wait(&o->more, &o->mu);
	l = o->first;
	if (l)
		o->first = l->next;
	if (!o->first)
		o->last = &o->first;
	pthread_mutex_unlock(&o->mu);
	return l;
}

static int send_letter(struct outbox *o, const struct letter *l)
{
	Imaged__V1__BuildEvent *event = imaged__v1__build_event__unpack(NULL, l->len, l->data);
	int r = event ? o->sink.send(o->sink.arg, event, NULL) : E_NO_MEMORY;

	imaged__v1__build_event__free_unpacked(event, NULL);
	return r;
}

static void note_sent(struct outbox *o, size_t len, int code)
{
	pthread_mutex_lock(&o->mu);
	o->gone = o->gone || is_gone(code);
	o->bytes -= len;
	if (!o->bytes)
		o->is_slow = false;
	pthread_cond_broadcast(&o->less);
	pthread_mutex_unlock(&o->mu);
}

static void *thread_main(void *arg)
{
	struct outbox *o = arg;
	struct letter *l;

	pthread_setname_np(pthread_self(), "build-tell");
	while ((l = take(o))) {
		note_sent(o, l->len, o->gone ? OK : send_letter(o, l));
		free(l);
	}
	return NULL;
}

/* ---- in --------------------------------------------------------------------------- */

void outbox_put(struct outbox *o, struct bytes event)
{
	struct letter *l = malloc(sizeof *l + event.len);

	if (!l)
		return;
	l->next = NULL;
	l->len = event.len;
	if (event.len)
		memcpy(l->data, event.data, event.len);
	pthread_mutex_lock(&o->mu);
	*o->last = l;
	o->last = &l->next;
	o->bytes += l->len;
	pthread_cond_signal(&o->more);
	pthread_mutex_unlock(&o->mu);
}

static bool is_full(const struct outbox *o)
{
	return o->bytes > BYTES_MAX && !o->gone;
}

/* With the lock. */
static void wait_less(struct outbox *o, int64_t ms)
{
	struct timespec until = clock_deadline(ms);
	int rc = 0;

	while (is_full(o) && !rc)
		rc = pthread_cond_timedwait(&o->less, &o->mu, &until);
}

bool outbox_has_room(struct outbox *o, int64_t wait_ms)
{
	bool room;

	pthread_mutex_lock(&o->mu);
	if (wait_ms)
		wait_less(o, wait_ms);
	room = !is_full(o);
	pthread_mutex_unlock(&o->mu);
	return room;
}

enum outbox_room outbox_wait_room(struct outbox *o)
{
	enum outbox_room room = OUTBOX_ROOM;

	pthread_mutex_lock(&o->mu);
	if (!o->is_slow)
		wait_less(o, IMPATIENT_MS);
	if (is_full(o)) {
		room = o->is_slow ? OUTBOX_FULL_SINCE : OUTBOX_FULL;
		o->is_slow = true;
	}
	pthread_mutex_unlock(&o->mu);
	return room;
}

void outbox_flush(struct outbox *o)
{
	pthread_mutex_lock(&o->mu);
	while (o->bytes && !o->gone)
		pthread_cond_wait(&o->less, &o->mu);
	pthread_mutex_unlock(&o->mu);
}

/* ---- life ------------------------------------------------------------------------- */

static void destroy(struct outbox *o)
{
	pthread_mutex_destroy(&o->mu);
	pthread_cond_destroy(&o->more);
	pthread_cond_destroy(&o->less);
	free(o);
}

int outbox_new(const struct progress_sink *sink, struct outbox **ret_outbox, struct err *err)
{
	struct outbox *o = calloc(1, sizeof *o);
	int code;

	if (!o)
		return fail_nomem(err);
	o->sink = *sink;
	o->last = &o->first;
	pthread_mutex_init(&o->mu, NULL);
	pthread_cond_init(&o->more, NULL);
	cond_init_monotonic(&o->less);
	code = pthread_create(&o->thread, NULL, thread_main, o);
	if (code) {
		destroy(o);
		return fail(err, E_NO_MEMORY, "no thread for what a build tells: %s", strerror(code));
	}
	*ret_outbox = o;
	return OK;
}

void outbox_free(struct outbox *o)
{
	if (!o)
		return;
	pthread_mutex_lock(&o->mu);
	o->closing = true;
	pthread_cond_signal(&o->more);
	pthread_mutex_unlock(&o->mu);
	pthread_join(o->thread, NULL);
	destroy(o);
}

#include "service/rpc/call_watch.h"

#include "proto/runtime/clock.h"
#include "service/rpc/internal.h"

enum { TICK_MIN_MS = 10, TICK_MAX_MS = 1000 };

void call_watches_init(struct call_watches *w, int64_t recv_ms, int64_t send_ms)
{
	int64_t shorter = recv_ms < send_ms ? recv_ms : send_ms;

	*w = (struct call_watches){ .limit_ms = { [WATCH_RECV] = recv_ms, [WATCH_SEND] = send_ms } };
	w->tick_ms = shorter / 4;
	if (w->tick_ms < TICK_MIN_MS)
		w->tick_ms = TICK_MIN_MS;
	if (w->tick_ms > TICK_MAX_MS)
		w->tick_ms = TICK_MAX_MS;
	pthread_mutex_init(&w->mu, NULL);
}

void call_watches_free(struct call_watches *w)
{
	pthread_mutex_destroy(&w->mu);
}

static struct rpc_call *call_of(struct call_watch *watch)
{
	return (struct rpc_call *)((char *)watch - offsetof(struct rpc_call, watch));
}

static void append(struct call_watches *w, struct call_watch *watch)
{
	enum watch_kind kind = watch->kind;

	watch->next = NULL;
	watch->prev = w->last[kind];
	*(w->last[kind] ? &w->last[kind]->next : &w->first[kind]) = watch;
	w->last[kind] = watch;
	watch->armed = true;
}

static void take_out(struct call_watches *w, struct call_watch *watch)
{
	enum watch_kind kind = watch->kind;

	*(watch->prev ? &watch->prev->next : &w->first[kind]) = watch->next;
	*(watch->next ? &watch->next->prev : &w->last[kind]) = watch->prev;
	watch->armed = false;
}

void call_watch_arm(struct rpc_call *c, enum watch_kind kind)
{
	struct call_watches *w = &c->server->watches;
	int64_t expires = clock_monotonic_ms() + w->limit_ms[kind];

	pthread_mutex_lock(&w->mu);
	c->watch.kind = kind;
	c->watch.expires = expires;
	append(w, &c->watch);
	pthread_mutex_unlock(&w->mu);
}

void call_watch_disarm(struct rpc_call *c)
{
	struct call_watches *w = &c->server->watches;

	pthread_mutex_lock(&w->mu);
	if (c->watch.armed)
		take_out(w, &c->watch);
	pthread_mutex_unlock(&w->mu);
}

/* The next call that is out of time, with a reference. */
static struct rpc_call *next_expired(struct call_watches *w, int64_t now, enum watch_kind *ret_kind)
{
	struct rpc_call *c = NULL;

	pthread_mutex_lock(&w->mu);
	for (int kind = 0; kind < WATCH_KINDS && !c; kind++) {
		struct call_watch *watch = w->first[kind];

		if (!watch || watch->expires > now)
			continue;
		take_out(w, watch);
		c = call_of(watch);
		call_ref(c);
		*ret_kind = watch->kind;
	}
	pthread_mutex_unlock(&w->mu);
	return c;
}

void call_watches_look(struct call_watches *w, int64_t now)
{
	long long due = atomic_load_explicit(&w->next_look, memory_order_relaxed);
	enum watch_kind kind;
	struct rpc_call *c;

	if (now < due || !atomic_compare_exchange_strong(&w->next_look, &due, now + w->tick_ms))
		return;
	while ((c = next_expired(w, now, &kind))) {
		call_fire(c, E_DEADLINE);
		grpc_call_cancel_with_status(c->grpc, GRPC_STATUS_DEADLINE_EXCEEDED,
					     kind == WATCH_RECV ? "the client sent no request in time"
								: "the client took no data in time",
					     NULL);
		call_unref(c);
	}
}

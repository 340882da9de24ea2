/* WatchTransfers. */
#include "proto/runtime/clock.h"
#include "service/image/convert.h"
#include "service/image/image_service.h"

enum { SNAPSHOT_MS = 100, SNAPSHOT_BYTES_MAX = 16 * 1024 * 1024 };

/* What is resumed came before, and time in a queue is none of the network's. */
static int64_t speed_of(const struct transfer_entry *e)
{
	int64_t since = atomic_load(&e->moving_ms), ms = clock_monotonic_ms() - since;
	int64_t bytes = atomic_load(&e->current) - atomic_load(&e->resumed);

	return since && bytes > 0 ? (int64_t)((double)bytes * 1000 / (double)(ms > 0 ? ms : 1)) : 0;
}

static bool put_origins(struct arena *a, const struct transfer_entry *e, Imaged__V1__Transfer *m)
{
	enum { ORIGINS = IMAGED__V1__TRANSFER__ORIGIN__ORIGIN_BUILD + 1 };
	unsigned origins = atomic_load(&e->origins);

	m->origins = arena_array(a, ORIGINS, sizeof *m->origins);
	for (unsigned i = IMAGED__V1__TRANSFER__ORIGIN__ORIGIN_API; m->origins && i < ORIGINS; i++)
		if (origins & 1U << i)
			m->origins[m->n_origins++] = (Imaged__V1__Transfer__Origin)i;
	return m->origins != NULL;
}

static Imaged__V1__Transfer *transfer_message(struct arena *a, const struct transfer_entry *e)
{
	enum { NS_PER_S = 1000000000 };
	Imaged__V1__Transfer *m = arena_array(a, 1, sizeof *m);
	Google__Protobuf__Timestamp *started = arena_array(a, 1, sizeof *started);
	char digest[DIGEST_TEXT_MAX];

	if (!m || !started)
		return NULL;
	imaged__v1__transfer__init(m);
	google__protobuf__timestamp__init(started);
	started->seconds = e->started_ns / NS_PER_S;
	started->nanos = (int32_t)(e->started_ns % NS_PER_S);
	m->direction = e->direction;
	m->digest = arena_string(a, digest_text(&e->digest, digest));
	m->state = (Imaged__V1__Transfer__State)atomic_load(&e->state);
	m->current = atomic_load(&e->current);
	m->total = e->total;
	m->resumed = atomic_load(&e->resumed);
	m->repository = (char *)e->repository;
	m->started = started;
	m->watchers = atomic_load(&e->watchers);
	m->message = (char *)e->message;
	m->bytes_per_second = speed_of(e);
	return m->digest && put_origins(a, e, m) ? m : NULL;
}

static int send_snapshot(struct rpc_call *call, const struct transfer_snapshot *s, struct err *err)
{
	Imaged__V1__WatchTransfersResponse response = IMAGED__V1__WATCH_TRANSFERS_RESPONSE__INIT;
	CLEANUP(arena_free) struct arena a;

	arena_init(&a, SNAPSHOT_BYTES_MAX);
	response.transfers = arena_array(&a, s->n + 1, sizeof *response.transfers);
	if (!response.transfers)
		return fail_nomem(err);
	for (; response.n_transfers < s->n; response.n_transfers++) {
		response.transfers[response.n_transfers] = transfer_message(&a, &s->entries[response.n_transfers]);
		if (!response.transfers[response.n_transfers])
			return fail_nomem(err);
	}
	return imaged__v1__image_service__watch_transfers_send(call, &response, err);
}

/* One token for both ways to end: the call and the drain of the server. */
static void fire(void *arg)
{
	cancel_fire(arg, E_CANCELLED);
}

static int follow(struct transfer_list *list, struct rpc_call *call, bool once, struct cancel *until, struct err *err)
{
	for (;;) {
		CLEANUP(transfer_snapshot_free) struct transfer_snapshot s = { 0 };

		if (transfer_list_snapshot(list, &s, err) < 0 || send_snapshot(call, &s, err) < 0)
			return err->code;
		if (once || cancel_wait(until, SNAPSHOT_MS) || !transfer_list_wait(list, s.revision, until))
			return cancel_check(rpc_call_cancel(call), err);
	}
}

int watch_transfers(void *self, struct rpc_call *call, const Imaged__V1__WatchTransfersRequest *request,
		    struct err *err)
{
	struct image_service *service = self;
	CLEANUP(cancel_unrefp) struct cancel *until = cancel_new();
	struct cancel_hook on_cancel = { .fn = fire, .arg = until }, on_drain = { .fn = fire, .arg = until };
	int r;

	if (!until)
		return fail_nomem(err);
	if (admission_enter(&service->watches, WATCHES_MAX, "clients watch", err) < 0)
		return err->code;
	cancel_hook(rpc_call_cancel(call), &on_cancel);
	cancel_hook(rpc_call_drain(call), &on_drain);
	r = follow(transfers_list(service->transfers), call, request->no_follow, until, err);
	cancel_unhook(rpc_call_drain(call), &on_drain);
	cancel_unhook(rpc_call_cancel(call), &on_cancel);
	admission_leave(&service->watches);
	return r;
}

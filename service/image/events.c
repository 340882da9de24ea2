/* WatchEvents. */
#include "store/image/events.h"

#include "service/image/image_service.h"

struct watching {
	struct rpc_call *call;
	struct err *err;
};

static int send_event(void *arg, uint64_t revision, const Imaged__Store__V1__EventRecord *record)
{
	enum { NS_PER_S = 1000000000 };
	struct watching *w = arg;
	Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	Imaged__V1__Event event = IMAGED__V1__EVENT__INIT;

	time.seconds = record->time_ns / NS_PER_S;
	time.nanos = (int32_t)(record->time_ns % NS_PER_S);
	event.revision = (int64_t)revision;
	event.time = &time;
	event.action = (Imaged__V1__Event__Action)record->action;
	event.image_id = record->image_id;
	event.name = record->name;
	event.digest = record->digest;
	return imaged__v1__image_service__watch_events_send(w->call, &event, w->err);
}

/* One token for both ways to end: the call and the drain of the server. */
static void fire(void *arg)
{
	cancel_fire(arg, E_CANCELLED);
}

static int follow(struct store *s, struct rpc_call *call, uint64_t revision, bool once, struct cancel *until,
		  struct err *err)
{
	struct watching w = { call, err };

	/* What happens after the headers is seen. */
	if (rpc_call_begin(call, err) < 0)
		return err->code;
	for (;;) {
		if (events_read(s, revision, send_event, &w, &revision, err) < 0)
			return err->code;
		if (once || !events_wait(s, revision, until))
			return cancel_check(rpc_call_cancel(call), err);
	}
}

int watch_events(void *self, struct rpc_call *call, const Imaged__V1__WatchEventsRequest *request, struct err *err)
{
	struct image_service *service = self;
	CLEANUP(cancel_unrefp) struct cancel *until = cancel_new();
	struct cancel_hook on_cancel = { .fn = fire, .arg = until }, on_drain = { .fn = fire, .arg = until };
	uint64_t revision = (uint64_t)request->after_revision;
	int r;

	if (!until)
		return fail_nomem(err);
	if (request->after_revision < 0)
		return fail(err, E_INVALID, "after_revision is negative");
	if (admission_enter(&service->watches, WATCHES_MAX, "clients watch events", err) < 0)
		return err->code;
	if (!revision)
		revision = events_revision(service->store);
	cancel_hook(rpc_call_cancel(call), &on_cancel);
	cancel_hook(rpc_call_drain(call), &on_drain);
	r = follow(service->store, call, revision, request->no_follow, until, err);
	cancel_unhook(rpc_call_drain(call), &on_drain);
	cancel_unhook(rpc_call_cancel(call), &on_cancel);
	admission_leave(&service->watches);
	return r;
}

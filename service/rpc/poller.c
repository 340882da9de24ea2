#include "service/rpc/poller.h"

#include "proto/runtime/clock.h"
#include "service/rpc/internal.h"

/* gRPC's own work is done on these threads too: more than a handler's stack. */
enum { STACK_BYTES = 1024 * 1024 };

static bool poll_once(struct rpc_server *s)
{
	gpr_timespec until = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
					  gpr_time_from_millis(s->watches.tick_ms, GPR_TIMESPAN));
	grpc_event event = grpc_completion_queue_next(s->cq, until, NULL);

	if (event.type == GRPC_QUEUE_SHUTDOWN)
		return false;
	if (event.type == GRPC_OP_COMPLETE) {
		struct op *op = event.tag;

		TAKEOVER(op);
		op->done(op, event.success);
	}
	call_watches_look(&s->watches, clock_monotonic_ms());
	atomic_fetch_add(&s->polls, 1);
	return true;
}

static void *poller_main(void *arg)
{
	pthread_setname_np(pthread_self(), "rpc-poll");
	while (poll_once(arg))
		;
	return NULL;
}

uint64_t rpc_server_polls(const struct rpc_server *s)
{
	return atomic_load(&s->polls);
}

int pollers_start(struct rpc_server *s, struct err *err)
{
	pthread_attr_t attr;
	int rc = 0;

	s->pollers = calloc(s->options.pollers, sizeof *s->pollers);
	if (!s->pollers)
		return fail_nomem(err);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	while (s->n_pollers < s->options.pollers && !rc) {
		rc = pthread_create(&s->pollers[s->n_pollers], &attr, poller_main, s);
		if (!rc)
			s->n_pollers++;
	}
	pthread_attr_destroy(&attr);
	if (!rc)
		return OK;
	errno = rc;
	return fail_errno(err, "start a polling thread");
}

void pollers_stop(struct rpc_server *s)
{
	grpc_completion_queue_shutdown(s->cq);
	while (s->n_pollers)
		pthread_join(s->pollers[--s->n_pollers], NULL);
	/* Nobody has polled when the server never started. */
	while (poll_once(s))
		;
	free(s->pollers);
	s->pollers = NULL;
}

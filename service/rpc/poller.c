#include "service/rpc/poller.h"

#include "proto/runtime/clock.h"
#include "service/rpc/internal.h"

enum {
	/* gRPC's own work is done on these threads too: more than a handler's stack. */
	STACK_BYTES = 1024 * 1024,
	/* How often it is looked whether a poller comes back. */
	RELIEF_MS = 50,
};

static grpc_completion_type poll_once(struct rpc_server *s, int64_t ms)
{
	gpr_timespec until = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(ms, GPR_TIMESPAN));
	grpc_event event = grpc_completion_queue_next(s->cq, until, NULL);

	if (event.type == GRPC_OP_COMPLETE) {
		struct op *op = event.tag;

		TAKEOVER(op);
		op->done(op, event.success);
	}
	call_watches_look(&s->watches, clock_monotonic_ms());
	return event.type;
}

/* Until the queue is shut down and empty. */
static void poll_all(struct rpc_server *s)
{
	while (poll_once(s, s->watches.tick_ms) != GRPC_QUEUE_SHUTDOWN)
		atomic_fetch_add(&s->polls, 1);
}

static void *poller_main(void *arg)
{
	pthread_setname_np(pthread_self(), "rpc-poll");
	poll_all(arg);
	return NULL;
}

/* ---- relief ---- */

/* Waits; false when the thread shall end. */
static bool relief_goes_on(struct rpc_server *s)
{
	struct timespec until = clock_deadline(RELIEF_MS);
	bool stop;
	int rc = 0;

	pthread_mutex_lock(&s->mu);
	while (!s->relief_stop && !rc)
		rc = pthread_cond_timedwait(&s->relief_wake, &s->mu, &until);
	stop = s->relief_stop;
	pthread_mutex_unlock(&s->mu);
	return !stop;
}

/* gRPC 1.51 reads from a connection for as long as there are bytes. Who sends without a pause, as
 * streams that are reset at once may, so holds a poller inside the queue: nobody takes out what
 * completes, and each call stays in memory. A second poller all the time would do, and makes each
 * call slower; this one only steps in for one that does not come back. */
static void *relief_main(void *arg)
{
	struct rpc_server *s = arg;
	uint64_t polls, seen = 0;

	pthread_setname_np(pthread_self(), "rpc-relief");
	while (relief_goes_on(s)) {
		polls = atomic_load(&s->polls);
		while (polls == seen && poll_once(s, 0) == GRPC_OP_COMPLETE) {
			polls = atomic_fetch_add(&s->polls, 1) + 1;
			seen++;
		}
		seen = polls;
	}
	return NULL;
}

static void relief_stop(struct rpc_server *s)
{
	if (!s->relief_started)
		return;
	pthread_mutex_lock(&s->mu);
	s->relief_stop = true;
	pthread_cond_broadcast(&s->relief_wake);
	pthread_mutex_unlock(&s->mu);
	pthread_join(s->relief, NULL);
	s->relief_started = false;
}

/* ---- life ---- */

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
	if (!rc) {
		rc = pthread_create(&s->relief, &attr, relief_main, s);
		s->relief_started = !rc;
	}
	pthread_attr_destroy(&attr);
	if (!rc)
		return OK;
	errno = rc;
	return fail_errno(err, "start a polling thread");
}

void pollers_stop(struct rpc_server *s)
{
	relief_stop(s);
	grpc_completion_queue_shutdown(s->cq);
	while (s->n_pollers)
		pthread_join(s->pollers[--s->n_pollers], NULL);
	/* Nobody has polled when the server never started. */
	poll_all(s);
	free(s->pollers);
	s->pollers = NULL;
}

#include "service/rpc/core_log.h"

#include <grpc/support/log.h>
#include <pthread.h>

#include "proto/runtime/clock.h"

enum { WINDOW_MS = 1000, LINES_PER_WINDOW = 5 };

/* The lock is held while the sink runs, so that a sink can be taken back; only
 * gRPC's complaints wait for it. */
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static rpc_log_fn *sink;
static void *sink_arg;
static int64_t window_end;
static unsigned lines;

/* With the lock held. */
static bool within_rate(void)
{
	int64_t now = clock_monotonic_ms();

	if (now >= window_end) {
		window_end = now + WINDOW_MS;
		lines = 0;
	}
	return lines++ < LINES_PER_WINDOW;
}

static void forward(gpr_log_func_args *args)
{
	struct err err = ERR_INIT;

	if (args->severity != GPR_LOG_SEVERITY_ERROR)
		return;
	fail(&err, E_UNKNOWN, "%s", args->message);
	pthread_mutex_lock(&mu);
	if (sink && within_rate())
		sink(sink_arg, &(struct rpc_event){ .method = "gRPC", .err = &err });
	pthread_mutex_unlock(&mu);
}

void core_log_attach(rpc_log_fn *log, void *arg)
{
	pthread_mutex_lock(&mu);
	sink = log;
	sink_arg = arg;
	pthread_mutex_unlock(&mu);
	if (!getenv("GRPC_VERBOSITY"))
		gpr_set_log_function(forward);
}

void core_log_detach(rpc_log_fn *log, const void *arg)
{
	pthread_mutex_lock(&mu);
	if (sink == log && sink_arg == arg)
		sink = NULL;
	pthread_mutex_unlock(&mu);
}

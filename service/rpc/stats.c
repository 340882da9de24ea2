#include "service/rpc/stats.h"

#include "service/rpc/internal.h"

/* From small calls, 0.1 ms, to pulls. */
const int64_t rpc_duration_bounds_us[RPC_DURATION_BOUNDS] = {
	100, 250, 500, 1000, 2500, 5000, 10000, 25000, 100000, 1000000, 10000000, 60000000, 600000000,
};

static const char *const code_names[RPC_STATUS_CODES] = {
	[GRPC_CODE_OK] = "OK",
	[GRPC_CODE_CANCELLED] = "CANCELLED",
	[GRPC_CODE_UNKNOWN] = "UNKNOWN",
	[GRPC_CODE_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
	[GRPC_CODE_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
	[GRPC_CODE_NOT_FOUND] = "NOT_FOUND",
	[GRPC_CODE_ALREADY_EXISTS] = "ALREADY_EXISTS",
	[GRPC_CODE_PERMISSION_DENIED] = "PERMISSION_DENIED",
	[GRPC_CODE_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
	[GRPC_CODE_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
	[GRPC_CODE_ABORTED] = "ABORTED",
	[GRPC_CODE_OUT_OF_RANGE] = "OUT_OF_RANGE",
	[GRPC_CODE_UNIMPLEMENTED] = "UNIMPLEMENTED",
	[GRPC_CODE_INTERNAL] = "INTERNAL",
	[GRPC_CODE_UNAVAILABLE] = "UNAVAILABLE",
	[GRPC_CODE_DATA_LOSS] = "DATA_LOSS",
	[GRPC_CODE_UNAUTHENTICATED] = "UNAUTHENTICATED",
};

enum { NS_PER_US = 1000 };

const char *rpc_status_name(unsigned grpc_code)
{
	return code_names[grpc_code < RPC_STATUS_CODES ? grpc_code : GRPC_CODE_UNKNOWN];
}

void rpc_stats_handled(struct rpc_stats *stats, unsigned grpc_code, int64_t ns)
{
	size_t bucket = 0;

	while (bucket < RPC_DURATION_BOUNDS && ns > rpc_duration_bounds_us[bucket] * NS_PER_US)
		bucket++;
	rpc_count(&stats->ns, (uint64_t)ns);
	rpc_count(&stats->buckets[bucket], 1);
	rpc_count(&stats->handled[grpc_code], 1);
}

void rpc_server_each_method(const struct rpc_server *s,
			    void (*fn)(void *arg, const char *method, const struct rpc_stats *stats), void *arg)
{
	const struct methods *m = &s->methods;

	for (size_t i = 0; i < m->cap; i++)
		if (m->slots[i].method)
			fn(arg, m->slots[i].method->path, &s->stats[m->slots[i].number]);
	fn(arg, "unknown", &s->stats[m->len]);
}

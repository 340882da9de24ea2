/*
 * What is counted of the calls of each method, and of all calls of methods that there are
 * not, from when the server starts. A call counts as started when it arrives, and as handled
 * when its answer is handed to gRPC.
 *
 * Threads: any; each number is atomic by itself, so two of them may be one call apart.
 */
#ifndef SERVICE_RPC_STATS_H
#define SERVICE_RPC_STATS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct rpc_server;

enum { RPC_STATUS_CODES = 17, RPC_DURATION_BOUNDS = 13 };

/* Upper bounds of the buckets, in microseconds; one more bucket takes the rest. */
extern const int64_t rpc_duration_bounds_us[RPC_DURATION_BOUNDS];

struct rpc_stats {
	atomic_ullong started, handled[RPC_STATUS_CODES]; /* by gRPC's code */
	atomic_ullong buckets[RPC_DURATION_BOUNDS + 1];	  /* not cumulative */
	atomic_ullong ns;
	atomic_ullong received, sent; /* bytes of messages */
};

static inline void rpc_count(atomic_ullong *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static inline uint64_t rpc_counted(const atomic_ullong *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

/* "NOT_FOUND"; of a code that is none, "UNKNOWN". */
const char *rpc_status_name(unsigned grpc_code);

void rpc_stats_handled(struct rpc_stats *stats, unsigned grpc_code, int64_t ns);

/* Every method that there is ("/imaged.v1.ImageService/Pull") and then "unknown". After
 * rpc_server_start(). */
void rpc_server_each_method(const struct rpc_server *s,
			    void (*fn)(void *arg, const char *method, const struct rpc_stats *stats), void *arg);

#endif

/* The calls of each method that was ever called. */
#include <inttypes.h>

#include "service/metrics/collect.h"
#include "service/rpc/stats.h"

enum { US_PER_S = 1000000, NS_PER_S = 1000000000 };

static uint64_t all_handled(const struct rpc_stats *stats)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < RPC_STATUS_CODES; i++)
		sum += rpc_counted(&stats->handled[i]);
	return sum;
}

static void put_handled(void *arg, const char *method, const struct rpc_stats *stats)
{
	for (size_t i = 0; i < RPC_STATUS_CODES; i++) {
		uint64_t n = rpc_counted(&stats->handled[i]);

		if (n)
			buf_printf(arg, "imaged_rpc_handled_total{method=\"%s\",code=\"%s\"} %" PRIu64 "\n", method,
				   rpc_status_name((unsigned)i), n);
	}
}

/* What ended is read first, so that it is never more than what began. */
static void put_in_flight(void *arg, const char *method, const struct rpc_stats *stats)
{
	uint64_t ended = all_handled(stats), began = rpc_counted(&stats->started);

	if (began)
		buf_printf(arg, "imaged_rpc_in_flight{method=\"%s\"} %" PRIu64 "\n", method, began - ended);
}

/* The count is that of the buckets as they were read, so that they always agree. */
static void put_durations(void *arg, const char *method, const struct rpc_stats *stats)
{
	uint64_t n = 0;

	if (!rpc_counted(&stats->started))
		return;
	for (size_t i = 0; i < RPC_DURATION_BOUNDS; i++) {
		n += rpc_counted(&stats->buckets[i]);
		buf_printf(arg, "imaged_rpc_duration_seconds_bucket{method=\"%s\",le=\"%.9g\"} %" PRIu64 "\n", method,
			   (double)rpc_duration_bounds_us[i] / US_PER_S, n);
	}
	n += rpc_counted(&stats->buckets[RPC_DURATION_BOUNDS]);
	buf_printf(arg, "imaged_rpc_duration_seconds_bucket{method=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", method, n);
	buf_printf(arg, "imaged_rpc_duration_seconds_sum{method=\"%s\"} %.17g\n", method,
		   (double)rpc_counted(&stats->ns) / NS_PER_S);
	buf_printf(arg, "imaged_rpc_duration_seconds_count{method=\"%s\"} %" PRIu64 "\n", method, n);
}

static void put_received(void *arg, const char *method, const struct rpc_stats *stats)
{
	if (rpc_counted(&stats->started))
		buf_printf(arg, "imaged_rpc_received_bytes_total{method=\"%s\"} %" PRIu64 "\n", method,
			   rpc_counted(&stats->received));
}

static void put_sent(void *arg, const char *method, const struct rpc_stats *stats)
{
	if (rpc_counted(&stats->started))
		buf_printf(arg, "imaged_rpc_sent_bytes_total{method=\"%s\"} %" PRIu64 "\n", method,
			   rpc_counted(&stats->sent));
}

void metrics_collect_calls(const struct rpc_server *server, struct buf *out)
{
	metrics_family(out, "imaged_rpc_handled_total", "counter", "Calls that ended.");
	rpc_server_each_method(server, put_handled, out);
	metrics_family(out, "imaged_rpc_in_flight", "gauge", "Calls that came and have not ended.");
	rpc_server_each_method(server, put_in_flight, out);
	metrics_family(out, "imaged_rpc_duration_seconds", "histogram", "From a call's arrival to its end.");
	rpc_server_each_method(server, put_durations, out);
	metrics_family(out, "imaged_rpc_received_bytes_total", "counter", "Bytes of messages that clients sent.");
	rpc_server_each_method(server, put_received, out);
	metrics_family(out, "imaged_rpc_sent_bytes_total", "counter", "Bytes of messages that clients were sent.");
	rpc_server_each_method(server, put_sent, out);
}

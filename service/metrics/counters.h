/*
 * What the parts of the daemon count for its metrics: one row of METRIC_TABLE each, so that
 * how many series there are is known when it is compiled. What others know by themselves
 * (calls, pools, the store) is asked for when somebody reads (collect.h).
 *
 * Threads: any; an addition is one atomic instruction, and nothing waits.
 */
#ifndef SERVICE_METRICS_COUNTERS_H
#define SERVICE_METRICS_COUNTERS_H

#include <stdint.h>

/* clang-format off */
/*	 row                         per one     family                               labels                               help, in the family's first row */
#define METRIC_TABLE(X) \
	X(METRIC_PULL_OK,            1,          "imaged_transfers_total",            "kind=\"pull\",outcome=\"ok\"",        "Transfers of blobs that are over.") \
	X(METRIC_PULL_FAILED,        1,          "imaged_transfers_total",            "kind=\"pull\",outcome=\"failed\"",    NULL) \
	X(METRIC_PULL_CANCELLED,     1,          "imaged_transfers_total",            "kind=\"pull\",outcome=\"cancelled\"", NULL) \
	X(METRIC_PUSH_OK,            1,          "imaged_transfers_total",            "kind=\"push\",outcome=\"ok\"",        NULL) \
	X(METRIC_PUSH_MOUNTED,       1,          "imaged_transfers_total",            "kind=\"push\",outcome=\"mounted\"",   NULL) \
	X(METRIC_PUSH_FAILED,        1,          "imaged_transfers_total",            "kind=\"push\",outcome=\"failed\"",    NULL) \
	X(METRIC_PUSH_CANCELLED,     1,          "imaged_transfers_total",            "kind=\"push\",outcome=\"cancelled\"", NULL) \
	X(METRIC_PULLED_BYTES,       1,          "imaged_transfer_bytes_total",       "kind=\"pull\"",                       "Bytes of blobs that came from registries or went there.") \
	X(METRIC_PUSHED_BYTES,       1,          "imaged_transfer_bytes_total",       "kind=\"push\"",                       NULL) \
	X(METRIC_GC_OK,              1,          "imaged_gc_runs_total",              "outcome=\"ok\"",                      "Garbage collections of the whole store.") \
	X(METRIC_GC_FAILED,          1,          "imaged_gc_runs_total",              "outcome=\"failed\"",                  NULL) \
	X(METRIC_GC_NS,              1000000000, "imaged_gc_seconds_total",           "",                                    "Time that garbage collections of the whole store took.") \
	X(METRIC_GC_FREED_BYTES,     1,          "imaged_gc_freed_bytes_total",       "",                                    "Bytes that garbage collections of the whole store freed.") \
	X(METRIC_WORKER_STARTS,      1,          "imaged_layer_worker_starts_total",  "",                                    "Processes of imaged-layer that were started.") \
	X(METRIC_WORKER_FAILURES,    1,          "imaged_layer_worker_failures_total", "",                                   "Processes of imaged-layer that could not start, ended too soon or spoke nonsense.")
/* clang-format on */

enum metric {
#define X(row, per, family, labels, help) row,
	METRIC_TABLE(X)
#undef X
		METRIC_COUNT,
};

void metric_add(enum metric m, int64_t n);
int64_t metric_get(enum metric m);

#endif

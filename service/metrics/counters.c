#include "service/metrics/counters.h"

#include <stdatomic.h>

static atomic_llong counters[METRIC_COUNT];

void metric_add(enum metric m, int64_t n)
{
	atomic_fetch_add_explicit(&counters[m], n, memory_order_relaxed);
}

int64_t metric_get(enum metric m)
{
	return atomic_load_explicit(&counters[m], memory_order_relaxed);
}

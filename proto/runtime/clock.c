#include "proto/runtime/clock.h"

enum { NS_PER_MS = 1000000, NS_PER_S = 1000000000 };

static int64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int64_t clock_monotonic_ms(void)
{
	return now_ns(CLOCK_MONOTONIC) / NS_PER_MS;
}

int64_t clock_monotonic_ns(void)
{
	return now_ns(CLOCK_MONOTONIC);
}

int64_t clock_wall_s(void)
{
	return now_ns(CLOCK_REALTIME) / NS_PER_S;
}

int64_t clock_wall_ns(void)
{
	return now_ns(CLOCK_REALTIME);
}

struct timespec clock_deadline(int64_t ms)
{
	enum { LONGEST_MS = INT32_MAX }; /* 24 days: far, and no overflow */
	int64_t capped = ms < 0 ? 0 : ms > LONGEST_MS ? LONGEST_MS : ms;
	int64_t at = now_ns(CLOCK_MONOTONIC) + capped * NS_PER_MS;

	return (struct timespec){ .tv_sec = at / NS_PER_S, .tv_nsec = at % NS_PER_S };
}

void cond_init_monotonic(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

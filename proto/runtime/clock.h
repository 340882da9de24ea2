/*
 * Clocks. Waits use the monotonic clock; what is stored or shown uses the wall
 * clock. Code whose behaviour depends on the time takes a `now` parameter, so
 * that tests own the clock; these functions are for its callers.
 */
#ifndef PROTO_RUNTIME_CLOCK_H
#define PROTO_RUNTIME_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

int64_t clock_monotonic_ms(void);
int64_t clock_monotonic_ns(void);
int64_t clock_wall_s(void);
int64_t clock_wall_ns(void); /* since 1970 */

/* `ms` from now on the monotonic clock, for pthread_cond_timedwait on a
 * condition made by cond_init_monotonic(). Negative means now. */
struct timespec clock_deadline(int64_t ms);
void cond_init_monotonic(pthread_cond_t *cond);

#endif

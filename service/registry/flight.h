/*
 * One piece of work at a time, shared by whoever needs its result: the first to
 * come leads, the others wait, each with its own cancel token.
 *
 * A failure is everybody's who waited for it, except when it was the leader's own
 * (cancelled, out of time): then one of the waiters leads again.
 *
 * The mutex is the caller's; it guards the flight and what the flight produces.
 */
#ifndef SERVICE_REGISTRY_FLIGHT_H
#define SERVICE_REGISTRY_FLIGHT_H

#include <pthread.h>

#include "proto/runtime/cancel.h"

struct flight {
	pthread_cond_t landed;
	bool running;
	uint64_t rounds;    /* that have ended */
	struct err failure; /* of the last round */
};

enum { FLIGHT_LEAD = 1, FLIGHT_LANDED = 2 };

void flight_init(struct flight *f);
void flight_destroy(struct flight *f);

/* With the mutex held, which is given up while waiting. FLIGHT_LEAD: do the work
 * (without the mutex) and call flight_land(). FLIGHT_LANDED: somebody else did;
 * look again. Else the failure of the round, or the token's. */
int flight_join(struct flight *f, pthread_mutex_t *mu, struct cancel *cancel, struct err *err);

/* With the mutex held. `code` OK: `err` is not looked at. */
void flight_land(struct flight *f, int code, const struct err *err);

#endif

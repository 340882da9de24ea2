/*
 * Connections that carry bodies, counted for each host and in all, so that large
 * blobs use what is idle and nothing else.
 *
 * A transfer has one connection as of right: it enters, and is never refused here (how
 * many transfers run is said by who starts them). More for the same blob are extra: one
 * is given only while the host has fewer than LANES_PER_HOST at work and all hosts
 * together fewer than LANES_IN_ALL, and between two ranges it is asked whether it may
 * stay: so a transfer that starts finds its connection free after one range at most.
 *
 * Threads: any.
 */
#ifndef SERVICE_REGISTRY_LANES_H
#define SERVICE_REGISTRY_LANES_H

#include "proto/runtime/mem.h"

enum {
	LANES_PER_HOST = 12,
	LANES_IN_ALL = 16,
	LANES_PER_BLOB = 6,
};

struct host;
struct lanes;

struct lanes *lanes_new(void); /* NULL without memory */
void lanes_free(struct lanes *l);

/* `host` is only compared. False without memory: then it is not counted. */
bool lanes_enter(struct lanes *l, const struct host *host);
bool lanes_enter_extra(struct lanes *l, const struct host *host);
bool lanes_has_room(struct lanes *l, const struct host *host);
bool lanes_may_stay(struct lanes *l, const struct host *host);
void lanes_leave(struct lanes *l, const struct host *host);

#endif

/*
 * Events on their way to the client of a build, which may be slow: sent in their order by a thread
 * of its own, so that who tells them does not wait for the client. Steps are shared, and one
 * client that is stopped must not stop the builds of others.
 *
 * What is put is kept whatever its size; who has much to tell asks for room first.
 *
 * Threads: any.
 */
#ifndef SERVICE_BUILD_SESSION_OUTBOX_H
#define SERVICE_BUILD_SESSION_OUTBOX_H

#include "imaged/v1/build.pb-c.h"
#include "proto/runtime/buf.h"
#include "proto/runtime/err.h"

struct outbox;

/* One event at a time. What it fails with is nobody's but the sender's matter. */
struct progress_sink {
	int (*send)(void *arg, const Imaged__V1__BuildEvent *event, struct err *err);
	void *arg;
};

int outbox_new(const struct progress_sink *sink, struct outbox **ret_outbox, struct err *err);
/* Behind what was put before; nobody puts anything any more. NULL is fine. */
void outbox_free(struct outbox *o);

void outbox_put(struct outbox *o, struct bytes event);

enum outbox_room {
	OUTBOX_ROOM,
	OUTBOX_FULL,	   /* for a while now */
	OUTBOX_FULL_SINCE, /* the same, and it has been said before */
};

/* Waits for some so long at the most. */
bool outbox_has_room(struct outbox *o, int64_t wait_ms);
/* Waits for a second, once until the client has taken all. */
enum outbox_room outbox_wait_room(struct outbox *o);
/* Until all is sent, or the client has gone. */
void outbox_flush(struct outbox *o);

#endif

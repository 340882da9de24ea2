/*
 * One token that ends work: fired by a client that goes away, a deadline, the
 * last waiter of a shared transfer, or the daemon's shutdown.
 *
 * Threads: every function may be called from any thread. A hook runs once, under
 * the token's lock, on the thread that fires; it may only wake somebody (write
 * an eventfd, signal a condition of its own that nobody holds while hooking),
 * never block, never call back into the token. cancel_unhook() returns only
 * when the hook does not run and will not run.
 */
#ifndef PROTO_RUNTIME_CANCEL_H
#define PROTO_RUNTIME_CANCEL_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/runtime/err.h"

struct cancel;

struct cancel_hook {
	void (*fn)(void *arg);
	void *arg;
	struct cancel_hook *next; /* the token's */
	bool hooked;
};

struct cancel *cancel_new(void); /* one reference; NULL when memory is short */
struct cancel *cancel_ref(struct cancel *c);
void cancel_unref(struct cancel *c); /* NULL is fine */
void cancel_unrefp(struct cancel **c);

/* Fires with E_CANCELLED, E_DEADLINE or E_UNAVAILABLE; the first call wins. */
void cancel_fire(struct cancel *c, int code);

/* OK, or fail() with the code it was fired with. c may be NULL: never fired. */
int cancel_check(struct cancel *c, struct err *err);
bool cancel_fired(struct cancel *c);

/* Sleeps until fired, at most `ms` milliseconds. True when fired. */
bool cancel_wait(struct cancel *c, int64_t ms);

/* A hook on a token that has fired already runs at once. */
void cancel_hook(struct cancel *c, struct cancel_hook *h);
void cancel_unhook(struct cancel *c, struct cancel_hook *h);

#endif

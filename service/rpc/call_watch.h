/*
 * Time limits of operations that no thread waits for: the request message of a
 * unary call, its response, the messages that a stream sends. A call whose peer
 * does not move in time is cancelled, so that a slow client holds nothing for
 * ever. A handler that waits has its own limits besides (stream.c).
 *
 * Each limit is the same for all calls, so a first-in-first-out list is sorted
 * by expiry, and arming and disarming take constant time. Pollers look at the
 * heads between events.
 */
#ifndef SERVICE_RPC_CALL_WATCH_H
#define SERVICE_RPC_CALL_WATCH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct rpc_call;

enum watch_kind { WATCH_RECV, WATCH_SEND, WATCH_KINDS };

struct call_watch {
	struct call_watch *next, *prev;
	int64_t expires; /* clock_monotonic_ms() */
	enum watch_kind kind;
	bool armed;
};

struct call_watches {
	pthread_mutex_t mu;
	struct call_watch *first[WATCH_KINDS], *last[WATCH_KINDS];
	int64_t limit_ms[WATCH_KINDS];
	int64_t tick_ms; /* how often to look */
	atomic_llong next_look;
};

void call_watches_init(struct call_watches *w, int64_t recv_ms, int64_t send_ms);
void call_watches_free(struct call_watches *w);

/* While a watch is armed an operation of its call is in flight, so the call lives. */
void call_watch_arm(struct rpc_call *c, enum watch_kind kind);
void call_watch_disarm(struct rpc_call *c);

/* Cancels what has expired. Cheap when it is not yet time to look. */
void call_watches_look(struct call_watches *w, int64_t now);

#endif

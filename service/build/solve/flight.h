/*
 * A result on its way: made by one build, awaited by any number of them.
 *
 *	r = flight_take(solver, &key, alone, &participant, &role, err);
 *	FLIGHT_OWN     make it; then flight_end(), and flight_settled() when it is in the cache
 *	FLIGHT_WAIT    participant.done() goes on, on another thread, from now on
 *	FLIGHT_READY   it was made just now: flight->layer
 *
 * Its token fires when nobody waits for it any more: then its making ends, and not when the build
 * that makes it has lost interest.
 *
 * Threads: any. A participant's done() runs on the thread that ends the flight, with no lock held,
 * and for each participant once, unless flight_quit() says that it will not.
 */
#ifndef SERVICE_BUILD_SOLVE_FLIGHT_H
#define SERVICE_BUILD_SOLVE_FLIGHT_H

#include <stdatomic.h>

#include "proto/runtime/buf.h"
#include "proto/runtime/hash.h"
#include "service/build/layers/build_tree.h"
#include "service/build/run/run.h"
#include "service/build/session/progress.h"

struct solver;
struct flight;

struct participant {
	/* `why`: of a failure; code OK: it was made. */
	void (*done)(struct participant *p, struct flight *f, const struct err *why);
	struct vertex *vertex; /* hears what the step writes */
	struct flight *flight; /* referenced; guarded by the solver's mutex before it has ended */
	struct participant *next, *next_listener;
};

enum flight_state {
	FLIGHT_RUNNING,
	FLIGHT_MADE, /* and on its way into the cache */
	FLIGHT_KEPT, /* and pinned there */
	FLIGHT_LOST, /* it could not be put there */
	FLIGHT_FAILED,
};

struct flight {
	struct solver *solver;
	struct digest key;
	struct cancel *cancel; /* of who makes it */
	struct build_layer *layer;
	struct digest pin; /* the key by which the result is pinned */
	bool imported;	   /* nothing was executed for it */
	/* Guarded by the solver's mutex. */
	unsigned refs;
	unsigned joining; /* builds that have found it and are no participants yet */
	enum flight_state state;
	bool listed, pinned;
	struct participant *participants, *owner; /* the owner may have quit */
	struct err *why;			  /* FLIGHT_LOST */
	UT_hash_handle hh;
	/* What the step wrote, for those who come later. */
	atomic_uint at_log; /* participants who want to listen, or want no more */
	pthread_mutex_t log_mu;
	struct participant *listeners;
	struct buf log;
};

enum flight_role { FLIGHT_OWN, FLIGHT_WAIT, FLIGHT_READY };

/* `alone`: nobody else is to have it. p->flight is set, with a reference that is the participant's. */
int flight_take(struct solver *s, const struct digest *key, bool alone, struct participant *p,
		enum flight_role *ret_role, struct err *err);
void flight_ref(struct flight *f);
void flight_unref(struct flight *f); /* NULL is fine; the last one unpins the result */

/* To all who listen. Of the owner. */
void flight_log(struct flight *f, enum run_stream stream, struct bytes data);

/* Of the owner: the layer, which is referenced, or a failure. */
void flight_end(struct flight *f, struct build_layer *layer, const struct err *why);
/* Of the owner, after flight_end() with a layer: it is in the cache and pinned, or is not. */
void flight_settled(struct flight *f, const struct err *why);

/* Is not interested any more; true: done() will not be called. False also without a flight. */
bool flight_quit(struct solver *s, struct participant *p);

/* Of a participant whose flight has failed: gives its reference back, so that it can take another one. */
void flight_forget(struct participant *p);

/* Until it is in the cache. What it could not be put there for; the token's code. */
int flight_wait_kept(struct flight *f, struct cancel *cancel, struct err *err);

#endif

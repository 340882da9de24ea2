/*
 * Several pieces of one call's work at a time, on threads of that call. The first failure
 * ends the others; the call's own thread waits meanwhile, and tells its client how it goes.
 */
#ifndef SERVICE_IMAGE_PARALLEL_H
#define SERVICE_IMAGE_PARALLEL_H

#include "service/image/transfer.h"

enum { PARALLEL_MAX = 16 };

struct parallel {
	size_t n;	  /* pieces, in the order in which they are begun */
	unsigned threads; /* <= PARALLEL_MAX */
	/* On one of the threads; the token fires when another piece failed or the call ends. */
	int (*work)(void *arg, size_t piece, struct cancel *cancel, struct err *err);
	/* On the caller's thread, whenever `watch` was woken or `every_ms` are over, and once
	 * at the end. A failure ends all. */
	int (*look)(void *arg, struct err *err);
	struct transfer_watch *watch;
	int64_t every_ms;
	void *arg;
};

/* Returns when no thread is at it any more. */
int parallel_run(const struct parallel *p, struct cancel *cancel, struct err *err);

#endif

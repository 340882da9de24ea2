/*
 * A bounded pool of threads: grows on demand to `threads`, shrinks when idle, and
 * refuses (E_BUSY) what is more than `queued` beyond them. Stacks are 256 KiB.
 */
#ifndef SERVICE_POOL_H
#define SERVICE_POOL_H

#include "proto/runtime/mem.h"

struct pool;

int pool_new(const char *name, unsigned threads, unsigned queued, struct pool **ret_pool, struct err *err);
/* Waits for all tasks, then joins all threads. */
void pool_free(struct pool *p);

struct pool_load {
	unsigned threads, idle, queued;
};

void pool_load(struct pool *p, struct pool_load *ret_load);

/* fn(arg) on a thread of the pool. */
int pool_run(struct pool *p, void (*fn)(void *arg), void *arg, struct err *err);

#endif

/*
 * Waiting for a worker's descriptors with a cancel token, and only for so long: what
 * job.c, tar_walk.c and inflate_filter.c share.
 *
 * One thread. The worker has stall_ms from the last patience_moved() on; one that lets
 * it pass is ended.
 */
#ifndef SERVICE_LAYER_PATIENCE_H
#define SERVICE_LAYER_PATIENCE_H

#include <poll.h>

#include "proto/runtime/cancel.h"
#include "service/layer/process.h"

enum { PATIENCE_FDS_MAX = 3 };

struct patience {
	int wake; /* eventfd that a fired token writes, and whoever else has news; -1: none yet */
	int64_t stall_ms, moved_ms;
};

int patience_init(struct patience *p, int64_t stall_ms, struct err *err);
void patience_free(struct patience *p);

void patience_moved(struct patience *p);

/* Polls n <= PATIENCE_FDS_MAX descriptors until one has something, or somebody wrote to
 * `wake`. The token's code; E_WORKER when the worker's time is over: it has been ended
 * then. No worker (NULL), no end. */
int patience_poll(struct patience *p, struct pollfd *fds, nfds_t n, struct process *worker, struct cancel *cancel,
		  struct err *err);

#endif

/*
 * The slots of a pull's workers and the queue of jobs that wait for one: what
 * workers.c and job.c share.
 *
 * A slot is the right to run one process. It is held by one job at a time, whose
 * thread alone touches the process in it (starts it, talks to it, ends it), so the
 * lock guards only who holds what and is never held across I/O. Whoever gives a
 * slot back hands it to the job that waited longest, and wakes that job's thread.
 */
#ifndef SERVICE_LAYER_WORKERS_H
#define SERVICE_LAYER_WORKERS_H

#include "service/layer/layer.h"
#include "service/layer/process.h"

struct slot {
	struct process process; /* the holder's */
	struct process images;	/* the same; started when a layer's image is asked for */
	bool held;		/* guarded by the lock of the workers */
};

/* A job's place in the queue; guarded by the lock of the workers. */
struct waiter {
	struct waiter *next;
	struct slot *granted;
	bool queued;
	int wake; /* eventfd that is written when a slot is granted */
};

const char *workers_program(const struct layer_workers *w);
const struct layer_policy *workers_policy(const struct layer_workers *w);

/* A free slot, one with a living process first; NULL: the waiter was queued. */
struct slot *workers_take(struct layer_workers *w, struct waiter *waiter);
/* The slot that was granted to the waiter, or NULL. */
struct slot *workers_granted(struct layer_workers *w, struct waiter *waiter);
/* Leaves the queue; a slot that was granted goes on to the next. */
void workers_forget(struct layer_workers *w, struct waiter *waiter);
void workers_give_back(struct layer_workers *w, struct slot *slot);

#endif

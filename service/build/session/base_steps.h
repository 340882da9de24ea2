/*
 * FROM as a step of a build, told as BuildKit does, which loads an image's tree only for a step
 * that is made on it:
 *
 *	DONE	no step was made, or no earlier build had the tree
 *	CACHED	one was, and an earlier build had it
 *
 * An image that is pulled for this build is told of as it comes. Inside of this folder.
 */
#ifndef SERVICE_BUILD_SESSION_BASE_STEPS_H
#define SERVICE_BUILD_SESSION_BASE_STEPS_H

#include <pthread.h>

#include "service/build/session/front_end.h"
#include "service/build/session/used_images.h"

struct base_steps {
	struct front_end *front_end;
	struct progress *progress;
	struct used_images *used;
	pthread_mutex_t mu;
	bool told; /* under mu */
};

void base_steps_begin(struct base_steps *b, struct front_end *f, struct progress *progress, struct used_images *used);
/* A step is made: for solve_request.executes, from any thread. */
void base_steps_needed(void *base_steps);
/* All steps are there, or one has failed: then the tree counts as needed. */
void base_steps_end(struct base_steps *b, bool failed);

#endif

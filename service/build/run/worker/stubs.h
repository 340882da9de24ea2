/*
 * Mount points that a step needs and its root has not: made before it, removed after it when
 * they are still as they were made, with the times of the directories they were in. So that
 * a layer shows what the step did, and not what was mounted for it (build.md 2.4).
 *
 * Belongs to one thread. They cannot be told from what the step makes under the same name later,
 * but by their inode.
 */
#ifndef SERVICE_BUILD_RUN_WORKER_STUBS_H
#define SERVICE_BUILD_RUN_WORKER_STUBS_H

#include "service/build/run/worker/in_root.h"

struct stub;

struct stubs {
	struct stub *all;
	size_t n, room;
	bool failed; /* one could not be noted */
};

#define STUBS_INIT     \
	{              \
		.n = 0 \
	}

void stubs_free(struct stubs *s); /* also the cleanup function; removes nothing */

/* Makes the mount point, when there is none. */
int stubs_make(struct stubs *s, int root, const char *path, bool is_directory, struct err *err);
/* Removes those that are untouched, the last one first. */
void stubs_remove(struct stubs *s);

#endif

/*
 * What a mount of RUN --mount shows, at files/N of the workspace: a directory, file or socket of
 * the daemon's, a text, or part of a tree of layers, which is mounted at trees/N for it.
 *
 * What the step writes to something that is only lent goes into the scratch of its directory, and with it.
 *
 * Belongs to the process that is alone in the workspace.
 */
#ifndef SERVICE_BUILD_RUN_WORKER_SOURCE_H
#define SERVICE_BUILD_RUN_WORKER_SOURCE_H

#include "service/build/run/worker/workspace.h"

struct source {
	size_t number; /* of the mount */
	const Imaged__Run__RunMount *mount;
	int fd;		   /* of before the namespace; -1: none */
	const int *layers; /* of its tree, mount->layers of them */
};

/* Nothing for a mount that has no source. E_NOT_FOUND: the tree has no such path, in BuildKit's words. */
int source_add(struct workspace *w, const struct source *s, struct err *err);

#endif

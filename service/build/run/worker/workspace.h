/*
 * What a step sees, put together in its own mount namespace:
 *
 *   WORKSPACE/       ramfs: never on a disk, never swapped out, gone with the namespace
 *     lower/N        layers (stack.h)
 *     step/          the step's directory: upper, work, scratch
 *     root/          the overlay
 *     files/N        sources of its mounts, in their order (source.h); `hosts`, `resolv.conf`
 *     trees/N        of which such a source is part
 *     bundle/, state/, bin/  for the OCI runtime
 *
 * Belongs to the process that is alone in the namespace. Names are relative to `dir`, which is
 * the working directory too.
 */
#ifndef SERVICE_BUILD_RUN_WORKER_WORKSPACE_H
#define SERVICE_BUILD_RUN_WORKER_WORKSPACE_H

#include <limits.h>

#include "proto/runtime/mem.h"
#include "service/build/run/plan.pb-c.h"
#include "service/build/run/protocol.h"
#include "service/build/run/worker/stack.h"

enum { WORKSPACE_NAME_MAX = 64 };

struct workspace {
	char path[PATH_MAX];
	bool is_root; /* not in a user namespace of its own */
	int root;     /* the overlay's root, -1 before */
	struct stack_layers layers;
};

#define WORKSPACE_INIT     \
	{                  \
		.root = -1 \
	}

void workspace_free(struct workspace *w); /* its mounts go with the namespace */

/* Takes the host's mounts out of the way of ours, mounts /proc of this PID namespace, and the ramfs. */
int workspace_make(struct workspace *w, const char *path, bool is_root, struct err *err);

/* The root file system; `directory` and `lowers` are descriptors of before the namespace. */
int workspace_mount_root(struct workspace *w, int directory, const int *lowers, size_t n, struct err *err);
/* root/ as the layers alone have it, read-only, at lower view: for comparing. *ret_fd -1: no layers. */
int workspace_mount_lower(struct workspace *w, const int *lowers, size_t n, int *ret_fd, struct err *err);

/* files/NAME with this text. */
int workspace_add_file(const char *name, struct bytes content, uint32_t mode, uint32_t uid, uint32_t gid,
		       struct err *err);

/* Ends the overlay, so that all of it is in upper. */
int workspace_unmount_root(struct workspace *w, struct err *err);

#endif

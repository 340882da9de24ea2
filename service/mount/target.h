/*
 * The directory at which an image is to be mounted. It is opened once, and what was opened
 * is what is checked and mounted on, whatever becomes of its name meanwhile.
 */
#ifndef SERVICE_MOUNT_TARGET_H
#define SERVICE_MOUNT_TARGET_H

#include <limits.h>

#include "proto/runtime/mem.h"

struct target {
	int fd;		     /* O_PATH */
	char path[PATH_MAX]; /* canonical, as the kernel tells it */
};

#define TARGET_INIT      \
	{                \
		.fd = -1 \
	}

/* `root`: of the store, in which nothing is mounted. E_INVALID: not absolute, no
 * directory, within the root, or "/"; E_NOT_FOUND; E_DENIED. */
int target_open(struct bytes text, const char *root, struct target *ret_target, struct err *err);
void target_close(struct target *t); /* also the cleanup function */

/* The canonical form of a path that may be gone, for comparing; the text itself when it
 * cannot be told. */
void target_canonical(struct bytes text, char out[PATH_MAX]);

#endif

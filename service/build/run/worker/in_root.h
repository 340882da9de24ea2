/*
 * Paths of a root file system that is not trusted, as its own processes would see them:
 * links in it are followed, but never out of it (openat2, RESOLVE_IN_ROOT).
 *
 * Descriptors are O_CLOEXEC and the caller's. Pure system calls, no state.
 */
#ifndef SERVICE_BUILD_RUN_WORKER_IN_ROOT_H
#define SERVICE_BUILD_RUN_WORKER_IN_ROOT_H

#include <limits.h>
#include <sys/stat.h>

#include "proto/runtime/mem.h"

/* -1 with errno. O_PATH opens what could be a device or a fifo without touching it. */
int in_root_open(int root, const char *path, int flags);

/* A regular file of at most `max` bytes, read; a NUL behind it. E_NOT_FOUND: none there; E_LIMIT. */
int in_root_read(int root, const char *path, size_t max, char **ret_text, size_t *ret_len, struct err *err);

/* What in_root_make() has made, in order; with the parent as it was before. */
struct in_root_made {
	void (*made)(void *arg, int parent, const struct stat *before, const char *name, bool is_directory);
	void *arg;
};

/* Makes the missing directories of a path (0755, of root) and, when it is not to be a
 * directory, an empty file at its end. What is there stays. A dangling link is followed
 * to where it points. E_INVALID: the path leads through something that is no directory. */
int in_root_make(int root, const char *path, bool is_directory, const struct in_root_made *watch, struct err *err);

#endif

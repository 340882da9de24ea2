/*
 * Something that a descriptor of before the mount namespace names, made visible in it.
 *
 * With privileges it is cloned before, where it is a mount of the process's namespace or a
 * detached one that began there (Linux 6.15): the kernel refuses both to anybody in another
 * namespace. Without, the namespace has a copy of each mount at the same path.
 */
#ifndef SERVICE_BUILD_RUN_WORKER_ATTACH_H
#define SERVICE_BUILD_RUN_WORKER_ATTACH_H

#include "proto/runtime/mem.h"

/* A detached clone of what the descriptor names, with what is mounted below it, in its place. */
int attach_prepare(int *fd, struct err *err);

/* A directory, file or socket, onto `target` (relative to the working directory), which is of
 * the same kind. `is_prepared`: by attach_prepare(); it works once. */
int attach_tree(int fd, bool is_prepared, const char *target, struct err *err);

/* The same for a descriptor of this namespace. */
int attach_here(int fd, const char *target, struct err *err);

/* A layer: a directory, or the EROFS image that a file is: by the kernel, or, without privileges, by erofsfuse,
 * which ends with the namespace. */
int attach_layer(int fd, bool is_prepared, const char *target, struct err *err);

#endif

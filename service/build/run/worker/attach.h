/*
 * Something that a descriptor of before the mount namespace names, made visible in it.
 */
#ifndef SERVICE_BUILD_RUN_WORKER_ATTACH_H
#define SERVICE_BUILD_RUN_WORKER_ATTACH_H

#include "proto/runtime/mem.h"

/* A directory, file or socket, onto `target` (relative to the working directory), which is of
 * the same kind. What is mounted below it comes along. */
int attach_tree(int fd, const char *target, struct err *err);

/* A layer: a directory, or the EROFS image that a file is: by the kernel, or, in a user namespace, where the
 * kernel refuses, by erofsfuse, which ends with the namespace. */
int attach_layer(int fd, const char *target, bool is_root, struct err *err);

#endif

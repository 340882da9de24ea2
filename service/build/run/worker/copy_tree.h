/*
 * A directory with all below it, copied: owners, modes, times, hard links within it, devices, and of
 * the xattrs those that a layer keeps (service/build/diff). Sockets are skipped.
 *
 * The trees must not change meanwhile. Two descriptors are open for each level. A call belongs to its thread.
 */
#ifndef SERVICE_BUILD_RUN_WORKER_COPY_TREE_H
#define SERVICE_BUILD_RUN_WORKER_COPY_TREE_H

#include "proto/runtime/err.h"

enum { COPY_TREE_DEPTH_MAX = 1024 };

/* `from` (which may be O_PATH) into the empty directory `to`, which looks like it afterwards. E_INVALID: it is no
 * directory; E_UNSUPPORTED: an owner or a device that a user namespace cannot have; E_LIMIT. On failure a part of it
 * is there. */
int copy_tree(int from, int to, struct err *err);

/* From where both are, to the end. */
int copy_file_bytes(int from, int to, struct err *err);

#endif

/*
 * Removes what is in a directory, whatever names, depth and modes it has.
 */
#ifndef SERVICE_BUILD_RUN_WORKER_REMOVE_TREE_H
#define SERVICE_BUILD_RUN_WORKER_REMOVE_TREE_H

#include "proto/runtime/err.h"

/* The directory itself stays. Memory grows with the depth only, as names; two descriptors are open at a time. */
int remove_tree_content(int dir, struct err *err);

#endif

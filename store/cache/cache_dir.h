/*
 * Trees that steps of builds left: how large they are, and away with them. Whatever depth
 * they have, a few descriptors are open at a time; links are never followed.
 */
#ifndef STORE_CACHE_CACHE_DIR_H
#define STORE_CACHE_CACHE_DIR_H

#include "proto/runtime/cancel.h"

/* Removes all that is in `dir` (any descriptor of it); nobody else writes there. */
int cache_dir_empty(int dir, struct err *err);
/* `at`/`name` with what is in it. Fine when it is not there. */
int cache_dir_remove(int at, const char *name, struct err *err);

/* Bytes on the disk, what has several links by its share; below a depth of 512 nothing is
 * counted. */
int cache_dir_size(int at, const char *name, struct cancel *cancel, int64_t *ret_bytes, struct err *err);

#endif

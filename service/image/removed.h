/*
 * Collects what a removal did, as the list that RemoveImage and PruneImages return.
 */
#ifndef SERVICE_IMAGE_REMOVED_H
#define SERVICE_IMAGE_REMOVED_H

#include "imaged/v1/common.pb-c.h"
#include "store/image/image.h"

struct removed_list {
	struct arena *arena;
	Imaged__V1__RemovedItem **items;
	size_t n, capacity;
};

/* A removed_visit; `arg` is the list. */
int removed_list_add(void *arg, enum removed_kind kind, const char *value, int64_t size);

#endif

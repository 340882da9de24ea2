/*
 * Collects what a removal did, as the list that RemoveImage and PruneImages return. A
 * list that fills a message only counts what comes after: the removal goes on.
 */
#ifndef SERVICE_IMAGE_REMOVED_H
#define SERVICE_IMAGE_REMOVED_H

#include "imaged/v1/common.pb-c.h"
#include "store/image/image.h"

struct removed_list {
	struct arena *arena;
	Imaged__V1__RemovedItem **items;
	size_t n, capacity;
	size_t bytes; /* of the items on the wire */
	int64_t left_out;
};

enum {
	REMOVED_BYTES_MAX = 3 * 1024 * 1024, /* a message has at most 4 MiB */
	REMOVED_BYTES_MANY = 1024 * 1024,    /* reason enough to answer before the next image */
};

/* A removed_visit; `arg` is the list. */
int removed_list_add(void *arg, enum removed_kind kind, const char *value, int64_t size);

#endif

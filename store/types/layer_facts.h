/*
 * What imaged-layer found out about a layer blob, and what is on record about it.
 */
#ifndef STORE_TYPES_LAYER_FACTS_H
#define STORE_TYPES_LAYER_FACTS_H

#include "store/types/digest.h"

struct layer_facts {
	struct digest diff_id;
	int64_t tar_size, files_size, entries;
	uint32_t worker_version;
	bool end_mark; /* the tar says itself where it ends; not on record */
};

/* A layer's EROFS image, as a worker makes it and the store keeps it. */
struct layer_image_facts {
	int64_t image_size, inodes;
	bool root_is_opaque; /* layers below are hidden altogether, which overlayfs cannot say */
	uint32_t writer_version;
};

#endif

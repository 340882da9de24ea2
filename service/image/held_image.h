/*
 * An image while its files are read: removing it meanwhile takes its names only.
 */
#ifndef SERVICE_IMAGE_HELD_IMAGE_H
#define SERVICE_IMAGE_HELD_IMAGE_H

#include "proto/runtime/arena.h"
#include "service/image/layer_files.h"
#include "service/tree/tree.h"
#include "store/image/image.h"

struct held_image {
	struct store *store;
	struct arena arena;
	struct image image;
	struct lease_id lease;
	bool leased;
	struct digest *diff_ids; /* lowest first, image.record->n_layers of them */
};

/* By name or ID; `what` names the lease: "export". A store that cannot be written to gives
 * out what it has all the same. held_image_release() in any case, of one that was zeroed. */
int held_image_open(struct store *s, const char *name, const char *what, struct held_image *h, struct err *err);
void held_image_release(struct held_image *h); /* also the cleanup function */

/* Its merged file system; images of layers that are missing are made. */
int held_image_tree(const struct held_image *h, struct layer_files *files, struct cancel *cancel,
		    struct tree **ret_tree, struct err *err);

#endif

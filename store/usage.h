/*
 * Where the disk went: what GetDiskUsage and `system df` say.
 */
#ifndef STORE_USAGE_H
#define STORE_USAGE_H

#include "store/image/image.h"

struct usage {
	/* layers_size: files of the layers of all images, each diff ID once. */
	int64_t image_count, layers_size, reclaimable_size;
	int64_t content_bytes, ingest_bytes, metadata_bytes, blob_count;
	int64_t layer_image_bytes, layer_image_count; /* none of these is in content_bytes */
};

/* Looks through content and records once for store_used() (store.h): soon after the start, on
 * a thread that may take its time. Looks again when something came or went meanwhile. */
int store_count_used(struct store *s, struct cancel *cancel, struct err *err);

/* Of what store_used() tells, the images of layers. */
void store_used_layers(struct store *s, struct store_used *ret_used);

int store_usage(struct store *s, struct usage *ret_usage, struct err *err);
/* Of an image's size: layers that other images have too, on whatever parent. */
int image_shared_size(struct store *s, const struct image *image, int64_t *ret_shared, struct err *err);

/* Kept by each transaction, and read: no walk. */
int64_t store_image_count(struct store *s);
int64_t store_name_count(struct store *s);

#endif

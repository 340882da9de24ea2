/*
 * Which images the files of the store are of: to the byte, on the disk.
 *
 * A file belongs to the images (configurations) that would lose it: a manifest and a
 * configuration to theirs, a layer and its image for mounts to all that have its diff ID, an
 * index to those that a name reaches through it. What builds keep, interrupted pulls and
 * removed images that are mounted own nothing.
 */
#ifndef STORE_OWNERS_H
#define STORE_OWNERS_H

#include "proto/runtime/cancel.h"
#include "store/image/image.h"

/* Of one image: bytes that are its own, and that others have too. */
struct disk_share {
	int64_t content_unique, content_shared;
	int64_t layer_image_unique, layer_image_shared;
};

int image_disk_share(struct store *s, const struct image *image, struct disk_share *ret_share, struct err *err);

/* All files of a kind by how many images own them, each once. */
struct disk_owners {
	int64_t one, several, none;
};

int store_disk_owners(struct store *s, struct cancel *cancel, struct disk_owners *ret_content,
		      struct disk_owners *ret_layer_images, struct err *err);

#endif

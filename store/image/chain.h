/*
 * Layer chains (a layer on top of certain others), and the images that have them.
 */
#ifndef STORE_IMAGE_CHAIN_H
#define STORE_IMAGE_CHAIN_H

#include "store/image/image.h"

/* More images than these are not counted, so that no question takes long. */
enum { CHAIN_IMAGES_MAX = 1000 };

/* How many images have each of the chains, at most CHAIN_IMAGES_MAX. Of an image whose
 * chains these are, from the lowest: what has one of them has all before it, so that each
 * image is read once. */
int chain_image_counts(struct store *s, const struct digest *chains, size_t n, int64_t *ret_counts, struct err *err);

#endif

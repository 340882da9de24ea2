/*
 * What an image hangs on, and what it consists of: the indexes and manifests that its names
 * stand for, what those indexes list, its layers. For ListImages with with_tree.
 */
#ifndef SERVICE_IMAGE_IMAGE_TREE_H
#define SERVICE_IMAGE_IMAGE_TREE_H

#include "service/image/convert.h"

enum { ROOT_ENTRIES_MAX = 1000 };

/* Adds roots and layers to the message, on the arena; `names`: as summary_message() got them. */
int image_tree_add(struct store *s, struct arena *a, const struct image *image, char *const *names, size_t n_names,
		   Imaged__V1__ImageSummary *m, struct err *err);

#endif

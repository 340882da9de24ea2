/*
 * The layer of a step that changed nothing: the end of a tar, 1024 zero bytes, again and again. Its
 * EROFS image is made by a worker once in a process, and copied then.
 *
 * Threads: any.
 */
#ifndef SERVICE_BUILD_LAYERS_EMPTY_LAYER_H
#define SERVICE_BUILD_LAYERS_EMPTY_LAYER_H

#include "store/layers/layer_image.h"

/* 1: it is that blob, and *ret_image a sealed image of it; 0: another one, or it is not known yet. */
int empty_layer_image(struct store *s, const struct digest *blob, struct cancel *cancel, struct layer_facts *ret_facts,
		      struct layer_image **ret_image, struct err *err);

/* A layer and its sealed image: kept when it is the empty one. */
void empty_layer_note(const struct layer_facts *facts, const struct layer_image *image);

#endif

/*
 * Layer records: what the worker found out, kept on this machine.
 */
#ifndef STORE_IMAGE_LAYER_H
#define STORE_IMAGE_LAYER_H

#include "store/image/image.h"

/* Writes the records of n layers, always: the collector tells by their revision
 * that a blob came back (gc.c). */
int layer_facts_put(struct store *s, const struct descriptor *blobs, const struct layer_facts *facts, size_t n,
		    struct err *err);

#endif

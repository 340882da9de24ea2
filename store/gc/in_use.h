/*
 * Whether something needs a blob: an image or index record of that digest, or an
 * edge whose parent exists.
 */
#ifndef STORE_GC_IN_USE_H
#define STORE_GC_IN_USE_H

#include "store/gc/gc.h"

/* What is to be taken as gone: dead leases for all who remove, and the rest for saying
 * what a removal would free. */
struct doomed {
	const struct gone *gone; /* NULL: nothing */
	bool dead_leases;	 /* those that no running operation holds; guards without a lease too */
};

/* doomed may be NULL. False is the truth of one moment at which the caller held the
 * digest's lock; true may be out of date. */
int blob_in_use(struct store *s, const struct digest *d, const struct doomed *doomed, bool *ret_in_use,
		struct err *err);

/* Of a blob that would go: adds what would go of its layer's images with it. */
int layer_bytes_of(struct store *s, const struct digest *blob, const struct doomed *doomed, int64_t *bytes,
		   struct err *err);

/* Whether a name or a lease keeps an index. */
int index_in_use(struct store *s, const struct digest *index, const struct doomed *doomed, bool *ret_in_use,
		 struct err *err);

/* Whether the parent of an edge exists and still leads to the child. An image that
 * is being published counts. */
int edge_is_live(struct store *s, const struct digest *child, const struct edge_parent *parent,
		 const struct doomed *doomed, bool *ret_live, struct err *err);

#endif

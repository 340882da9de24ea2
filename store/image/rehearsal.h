/*
 * Removals that only say what they would do, one after the other: each sees the store as
 * those before it would have left it, so that together they say what the real ones will.
 *
 * Nothing is changed, and nothing of the store is held: what others do meanwhile may show.
 * Memory: some 150 bytes for each name, manifest, layer and configuration taken. One thread
 * at a time.
 */
#ifndef STORE_IMAGE_REHEARSAL_H
#define STORE_IMAGE_REHEARSAL_H

#include "store/image/image.h"

struct rehearsal {
	struct store *store;
	struct gone gone;
	struct digest_set blobs; /* that may be garbage afterwards */
	struct chain_user *users;
};

void rehearsal_free(struct rehearsal *h); /* also the cleanup function */

/* Bytes of content and of layers' images that all removals so far would give back. */
int rehearsal_freed(const struct rehearsal *h, struct cancel *cancel, int64_t *ret_bytes, struct err *err);

#endif

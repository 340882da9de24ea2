/*
 * Leases: what keeps content alive while no image names it yet. Every operation
 * that brings content in, or relies on content that is there, holds one; it
 * outlives the process until it expires, so that an interrupted pull finds its
 * bytes again.
 */
#ifndef STORE_GC_LEASE_H
#define STORE_GC_LEASE_H

#include "store/store.h"

enum { LEASE_SECONDS = 24 * 3600 };

/* Makes the lease with these digests in one durable transaction (several for
 * more than fit one). */
int lease_create(struct store *s, const char *purpose, const struct digest *digests, size_t n, struct lease_id *ret_id,
		 struct err *err);
int lease_add(struct store *s, const struct lease_id *id, const struct digest *digests, size_t n, struct err *err);

/* Ends it. What only it held is garbage for the next collection. */
int lease_release(struct store *s, const struct lease_id *id, struct err *err);

/* True when the blob is committed. Takes the digest's lock, so that the answer
 * holds as long as a lease or an edge that was written before the call does. */
bool content_claim(struct store *s, const struct digest *d, int64_t *ret_size);

#endif

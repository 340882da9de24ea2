/*
 * Committed blobs: read, list, remove. They come in through ingest.h only.
 */
#ifndef STORE_CONTENT_CONTENT_H
#define STORE_CONTENT_CONTENT_H

#include "proto/runtime/cancel.h"
#include "store/store.h"

struct ingest;

/* False also when it cannot be looked at. */
bool content_exists(struct store *s, const struct digest *d, int64_t *ret_size);

/* A read-only descriptor (O_CLOEXEC). E_NOT_FOUND when it is not there. */
int content_open(struct store *s, const struct digest *d, int *ret_fd, int64_t *ret_size, struct err *err);

/* A small blob whole; E_LIMIT past the buffer's maximum. The bytes are hashed:
 * E_CORRUPT when they are not those of the digest. */
int content_read(struct store *s, const struct digest *d, struct buf *out, struct err *err);

/* Reads it all and compares: OK, E_CORRUPT (size or bytes), E_NOT_FOUND. `progress`
 * may be NULL; it gets the bytes of each step. */
int content_verify(struct store *s, const struct digest *d, void (*progress)(void *arg, size_t bytes), void *arg,
		   struct cancel *cancel, struct err *err);

/* Visits every blob in no order; the visitor returns false to stop. */
int content_list(struct store *s, bool (*visit)(void *arg, const struct digest *d, int64_t size), void *arg,
		 struct err *err);

/* A damaged blob out of the way, so that an ingest can replace it. */
int content_quarantine(struct store *s, const struct digest *d, struct err *err);
/* Undoes it, when no other copy could be had. E_EXISTS: an ingest has replaced it
 * meanwhile; E_BUSY: one other than `own` (the caller's, which it gives up; or NULL) may
 * do so yet, and would take the damaged one for its own. Either leaves it aside. */
int content_restore(struct store *s, const struct digest *d, const struct ingest *own, struct err *err);

#endif

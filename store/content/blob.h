/*
 * Taking committed blobs away: for the collector and the check.
 */
#ifndef STORE_CONTENT_BLOB_H
#define STORE_CONTENT_BLOB_H

#include "store/internal.h"

/* The caller holds the digest's lock. E_NOT_FOUND when it is not there. */
int blob_unlink(struct store *s, const struct digest *d, int64_t *ret_size, struct err *err);

/* Removes what repairs put aside, unless keep() says otherwise; that is called with the
 * digest's lock. */
int quarantine_clear(struct store *s, bool (*keep)(struct store *s, const struct digest *d), struct err *err);

#endif

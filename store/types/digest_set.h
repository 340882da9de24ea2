/*
 * Digests, each once, found in constant time. Memory: about 150 bytes for each. One
 * thread at a time.
 */
#ifndef STORE_TYPES_DIGEST_SET_H
#define STORE_TYPES_DIGEST_SET_H

#include "store/types/digest.h"

struct digest_set {
	struct digest_member *members;
};

/* E_NO_MEMORY. */
int digest_set_add(struct digest_set *s, const struct digest *d, struct err *err);
bool digest_set_has(const struct digest_set *s, const struct digest *d);
void digest_set_free(struct digest_set *s); /* also the cleanup function */

/* All of them in the order in which they came: NULL for the first, then the one before. NULL
 * at the end. */
const struct digest *digest_set_next(const struct digest_set *s, const struct digest *before);

#endif

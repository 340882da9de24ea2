/*
 * Reads the keys of a range in pages, each of one consistent state, so that the
 * reader may call the store in between (which a visitor of meta_range() must not).
 * What is put or deleted meanwhile may or may not be seen.
 */
#ifndef STORE_META_SCAN_H
#define STORE_META_SCAN_H

#include "store/meta/keys.h"

enum { META_SCAN_PAGE = 64 };

struct meta_scan {
	struct meta *meta;
	struct key from, to; /* what is left; `to` empty: to the end */
	struct key page[META_SCAN_PAGE];
	uint64_t revisions[META_SCAN_PAGE];
	size_t n, at; /* keys of the page, and the next one to hand out */
	bool last;    /* there is no page after this one */
};

void meta_scan_prefix(struct meta_scan *scan, struct meta *m, const struct key *prefix);
/* The same without those up to `after`, one of them; NULL: all. */
void meta_scan_after(struct meta_scan *scan, struct meta *m, const struct key *prefix, const struct key *after);
void meta_scan_range(struct meta_scan *scan, struct meta *m, const struct key *from, const struct key *to);

/* The next key, valid until the next call; NULL at the end. ret_revision may be NULL. */
int meta_scan_next(struct meta_scan *scan, const struct key **ret_key, uint64_t *ret_revision, struct err *err);

/* The first key after all that begin with this one; empty when there is none. */
struct key key_after_prefix(const struct key *prefix);

#endif

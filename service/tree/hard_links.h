/*
 * The names under which files with several names came first, for archives that say "the
 * same as that one". A file is forgotten with its last name; names that a layer above hides
 * never come, so that some stay.
 *
 * Memory: the paths, with about 100 bytes each, HARD_LINKS_BYTES_MAX at most. One thread.
 */
#ifndef SERVICE_TREE_HARD_LINKS_H
#define SERVICE_TREE_HARD_LINKS_H

#include "service/tree/tree.h"

enum { HARD_LINKS_BYTES_MAX = 128 * 1024 * 1024 };

struct hard_links {
	struct first_name *all;
	size_t bytes;
	struct buf last; /* what hard_links_first_name() gave, once it is forgotten here */
};

void hard_links_init(struct hard_links *f);
void hard_links_free(struct hard_links *f);

/* *ret_name: the first name of the entry's file, borrowed until the next call; empty when
 * this is it. E_LIMIT, E_NO_MEMORY. */
int hard_links_first_name(struct hard_links *f, const struct tree_entry *e, struct bytes *ret_name, struct err *err);

#endif

/*
 * Which inode was written under which name first.
 */
#ifndef SERVICE_BUILD_DIFF_LINKS_H
#define SERVICE_BUILD_DIFF_LINKS_H

#include <sys/stat.h>

#include "proto/runtime/mem.h"

struct links {
	struct link *all;
	size_t bytes;
};

void links_free(struct links *l);

/* The name under which it was written; NULL: it is noted now, under this one. E_LIMIT. */
int links_find_or_add(struct links *l, const struct stat *st, struct bytes name, const char **ret_first,
		      struct err *err);

#endif

/*
 * One file of a tree that is looked at, and whether two are the same.
 */
#ifndef SERVICE_BUILD_DIFF_ENTRY_H
#define SERVICE_BUILD_DIFF_ENTRY_H

#include <sys/stat.h>

#include "proto/runtime/mem.h"
#include "service/build/diff/tar_put.h"

enum { ENTRY_XATTRS_MAX = 256, ENTRY_XATTR_BYTES = 128 << 10 };

/* The names of all xattrs, and those that a layer keeps, sorted. */
struct entry_xattrs {
	struct tar_put_xattr all[ENTRY_XATTRS_MAX];
	size_t n;
	char names[ENTRY_XATTR_BYTES];
	size_t names_len;
	uint8_t values[ENTRY_XATTR_BYTES];
};

/* What overlay has to say about an entry of its upper directory. */
struct entry_overlay {
	bool is_whiteout, is_opaque, is_foreign /* a renamed directory, or a file without its data */;
};

/* E_LIMIT: more or larger ones than a layer should have. */
int entry_read_xattrs(int dir, const char *name, struct entry_xattrs *x, struct err *err);
/* By the names that were read. */
void entry_read_overlay(int dir, const char *name, const struct stat *st, const struct entry_xattrs *x,
			struct entry_overlay *ret_overlay);

/* Whether the entry of the lower tree looks as the one above it: type, mode, owner, device, xattrs; of
 * what is no directory also size, time and, where times have no fraction, the content.
 * `below` is for working. *ret_same false also when there is none below. */
int entry_is_same(int upper, int lower, const char *name, const struct stat *st, const struct entry_xattrs *x,
		  struct entry_xattrs *below, bool *ret_same, struct err *err);

#endif

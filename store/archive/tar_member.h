/*
 * A member of a saved archive: a document, a blob or a directory of them. Everything that
 * varies without need is fixed: owner 0, time 0.
 */
#ifndef STORE_ARCHIVE_TAR_MEMBER_H
#define STORE_ARCHIVE_TAR_MEMBER_H

#include "store/archive/tar_head.h"

enum { TAR_NAME_MAX = 200 };

struct tar_member {
	char name[TAR_NAME_MAX]; /* of a directory: with a slash at its end */
	uint32_t mode;
	int64_t size; /* of a file; a directory has 0 */
};

/* Appends the blocks before the data; false when memory is short. */
bool tar_member_header(const struct tar_member *m, struct buf *out);

#endif

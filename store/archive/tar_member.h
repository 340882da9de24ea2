/*
 * A member of a saved archive: a document, a blob, a layer, a link or a directory. Owner 0;
 * everything else that varies without need is fixed by the layout.
 */
#ifndef STORE_ARCHIVE_TAR_MEMBER_H
#define STORE_ARCHIVE_TAR_MEMBER_H

#include "store/archive/tar_head.h"

enum { TAR_NAME_MAX = 200 };

struct tar_member {
	char name[TAR_NAME_MAX]; /* of a directory: with a slash at its end */
	char link[TAR_NAME_MAX]; /* of a symbolic link: where to; else "" */
	uint32_t mode;
	int64_t size; /* of a file; everything else has 0 */
	int64_t mtime;
	const char *owner; /* name of user and group; NULL: none */
};

/* Appends the blocks before the data; false when memory is short. */
bool tar_member_header(const struct tar_member *m, struct buf *out);

#endif

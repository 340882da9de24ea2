/*
 * Headers of a layer's tar: POSIX.1-2001, PAX records only where ustar's fields cannot say
 * it, everything in one order, so that the same tree gives the same bytes.
 *
 * Numeric owners only, times in whole seconds (build.md 2.4). Names are bytes; nothing is
 * made of them. Pure functions.
 */
#ifndef SERVICE_BUILD_DIFF_TAR_PUT_H
#define SERVICE_BUILD_DIFF_TAR_PUT_H

#include <sys/types.h>

#include "proto/runtime/buf.h"

enum { TAR_PUT_BLOCK = 512, TAR_PUT_END = 2 * TAR_PUT_BLOCK };

enum tar_put_type {
	TAR_PUT_FILE = '0',
	TAR_PUT_HARD_LINK = '1',
	TAR_PUT_SYMLINK = '2',
	TAR_PUT_CHAR_DEVICE = '3',
	TAR_PUT_BLOCK_DEVICE = '4',
	TAR_PUT_DIRECTORY = '5',
	TAR_PUT_FIFO = '6',
};

/* Of a file's mode; what has no type of its own here is a file. */
enum tar_put_type tar_put_type_of(mode_t mode);

struct tar_put_xattr {
	const char *name;
	struct bytes value;
};

struct tar_put {
	enum tar_put_type type;
	struct bytes name; /* of a directory: with a slash at its end */
	struct bytes link; /* of links */
	uint32_t mode, uid, gid;
	uint64_t size; /* of a file */
	int64_t mtime;
	uint32_t major, minor;
	const struct tar_put_xattr *xattrs; /* sorted by name */
	size_t n_xattrs;
};

/* Appends the blocks before the data; false as buf_append(). */
bool tar_put_header(const struct tar_put *p, struct buf *out);

/* Zeros behind the data. */
static inline size_t tar_put_padding(uint64_t size)
{
	return (size_t)(-size & (TAR_PUT_BLOCK - 1));
}

#endif

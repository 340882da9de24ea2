/*
 * Headers of a tar archive that is written (POSIX.1-2001: ustar, and PAX records for what
 * does not fit in it). The one writer of the project, and of our own and not libarchive's:
 * what is said with the same values shall be the same bytes, whatever version that has.
 *
 * Names are bytes, not text: they go out as they are, in a header and in a record, which is
 * what GNU tar, Go and libarchive make them from again.
 * Pure functions.
 */
#ifndef STORE_ARCHIVE_TAR_HEAD_H
#define STORE_ARCHIVE_TAR_HEAD_H

#include "proto/runtime/buf.h"

enum {
	TAR_BLOCK_BYTES = 512,
	TAR_END_BYTES = 2 * TAR_BLOCK_BYTES,
};

enum tar_typeflag {
	TAR_TYPE_FILE = '0',
	TAR_TYPE_HARD_LINK = '1',
	TAR_TYPE_SYMLINK = '2',
	TAR_TYPE_CHAR = '3',
	TAR_TYPE_BLOCK = '4',
	TAR_TYPE_DIRECTORY = '5',
	TAR_TYPE_FIFO = '6',
};

struct tar_head {
	enum tar_typeflag type;
	struct bytes name; /* of a directory: with a slash at its end */
	struct bytes link; /* links: where to */
	uint32_t mode;	   /* permissions; the file's type, too, where a format wants it there */
	uint32_t uid, gid;
	const char *owner; /* name of both; NULL: none */
	int64_t size;	   /* of the data that follow */
	int64_t mtime;
	uint32_t mtime_ns;
	uint32_t major, minor; /* devices */
};

/* Appends "LENGTH KEY=VALUE\n", where KEY is `prefix` and `name`. False when it does not fit. */
bool tar_record(struct buf *records, const char *prefix, struct bytes name, struct bytes value);
bool tar_record_number(struct buf *records, const char *key, int64_t value);

/* Appends the blocks in front of the data. `records`: further ones of the entry, or NULL;
 * what the header itself needs is added to them. False when memory is short. */
bool tar_head_write(const struct tar_head *h, struct buf *records, struct buf *out);

/* Zeros behind the data. */
static inline size_t tar_padding(int64_t size)
{
	return (size_t)(-size & (TAR_BLOCK_BYTES - 1));
}

#endif

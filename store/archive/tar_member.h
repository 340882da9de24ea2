/*
 * Header blocks of a tar archive that is written (POSIX.1-2001 ustar; PAX records
 * where a name or a size does not fit). A writer of our own and not libarchive,
 * since the same images shall give the same bytes whatever version that has.
 *
 * Everything that varies without need is fixed: owner 0, no names of owners, time 0.
 * Pure functions.
 */
#ifndef STORE_ARCHIVE_TAR_MEMBER_H
#define STORE_ARCHIVE_TAR_MEMBER_H

#include <stddef.h>
#include <stdint.h>

enum {
	TAR_BLOCK_BYTES = 512,
	TAR_HEADER_MAX = 3 * TAR_BLOCK_BYTES, /* extended header, its records, header */
	TAR_NAME_MAX = 200,
	TAR_END_BYTES = 2 * TAR_BLOCK_BYTES,
};

struct tar_member {
	char name[TAR_NAME_MAX]; /* of a directory: with a slash at its end */
	uint32_t mode;
	int64_t size; /* of a file; a directory has 0 */
};

/* The blocks before the data; returns their bytes. */
size_t tar_member_header(const struct tar_member *m, uint8_t out[TAR_HEADER_MAX]);

/* Zeros behind the data. */
static inline size_t tar_padding(int64_t size)
{
	return (size_t)(-size & (TAR_BLOCK_BYTES - 1));
}

#endif

/*
 * One 512-byte header block of a tar archive (POSIX.1-1988 ustar, V7, GNU), read
 * only as far as it is needed to walk over the archive, count it and name its
 * entries.
 *
 * Pure functions on hostile bytes; no allocation, any thread.
 */
#ifndef SERVICE_LAYER_TAR_HEADER_H
#define SERVICE_LAYER_TAR_HEADER_H

#include "proto/runtime/mem.h"

enum { TAR_BLOCK = 512, TAR_HEADER_NAME_MAX = 257 /* prefix, slash, name; not ended by a NUL */ };

/* The typeflags that matter here. */
enum tar_type {
	TAR_REGULAR_V7 = 0,
	TAR_REGULAR = '0',
	TAR_HARD_LINK = '1',
	TAR_SYMLINK = '2',
	TAR_CHAR_DEVICE = '3',
	TAR_BLOCK_DEVICE = '4',
	TAR_DIRECTORY = '5',
	TAR_FIFO = '6',
	TAR_CONTIGUOUS = '7',
	TAR_PAX = 'x',
	TAR_PAX_GLOBAL = 'g',
	TAR_GNU_LONG_NAME = 'L',
	TAR_GNU_LONG_LINK = 'K',
	TAR_GNU_SPARSE = 'S',
};

struct tar_header {
	uint8_t type;
	bool name_is_directory; /* the name ends with a slash */
	bool sparse_goes_on;	/* GNU_SPARSE: a block of the map follows */
	int64_t size;		/* >= 0: bytes that follow, unless a PAX record says otherwise */
	int64_t real_size;	/* >= 0: GNU_SPARSE: size of the file with its holes */
};

bool tar_block_is_zero(const uint8_t block[TAR_BLOCK]);

/* What is wrong with the block, or NULL when *ret_header was filled. */
const char *tar_header_read(const uint8_t block[TAR_BLOCK], struct tar_header *ret_header);

/* The name as the block has it, with ustar's prefix: its length. */
size_t tar_header_name(const uint8_t block[TAR_BLOCK], char ret_name[TAR_HEADER_NAME_MAX]);
/* The target of a link; borrowed from the block. */
struct bytes tar_header_link(const uint8_t block[TAR_BLOCK]);

/* A numeric field: octal or GNU's base-256, negative only in the latter. */
bool tar_number_read(const uint8_t *field, size_t len, int64_t *ret_value);

/* A block of a GNU sparse map: does another one follow? */
bool tar_sparse_goes_on(const uint8_t block[TAR_BLOCK]);

#endif

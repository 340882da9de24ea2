/*
 * Maps of sparse files in tar archives: which pieces of a file are there, the rest are
 * holes. GNU tar has four forms of them: old GNU headers (21 pieces a block), the PAX
 * records of versions 0.0 and 0.1, and of 1.0, whose map is the beginning of the data.
 *
 *	tar_sparse_begin()          which form an entry has; maps that are in front of it
 *	tar_sparse_take_block()     while tar_sparse_wants_block(): a block that follows
 *	tar_sparse_check()          the whole map, against the file's sizes
 *
 * Memory: at most TAR_SPARSE_PIECES pieces and, for 1.0, TAR_SPARSE_TEXT of text. One
 * thread. Failures are texts that say what is wrong.
 */
#ifndef SERVICE_LAYER_TAR_SPARSE_H
#define SERVICE_LAYER_TAR_SPARSE_H

#include "proto/runtime/buf.h"
#include "service/layer/tar_entry.h"

enum { TAR_SPARSE_PIECES = 65536, TAR_SPARSE_TEXT = 1024 * 1024 };

struct tar_piece {
	uint64_t offset, len; /* in the file */
};

enum tar_sparse_form { TAR_SPARSE_NONE, TAR_SPARSE_OLD, TAR_SPARSE_RECORDS, TAR_SPARSE_IN_DATA };

struct tar_sparse {
	enum tar_sparse_form form;
	struct tar_piece *pieces; /* n of them */
	size_t n, room;
	bool wants_block;
	uint64_t map_bytes; /* TAR_SPARSE_IN_DATA: bytes of the data that were the map */

	/* TAR_SPARSE_IN_DATA */
	struct buf text;
	size_t lines;
};

void tar_sparse_init(struct tar_sparse *s);
void tar_sparse_free(struct tar_sparse *s);

/* `block`: the entry's header; `pax`: the records in front of it. What is wrong, or NULL. */
const char *tar_sparse_begin(struct tar_sparse *s, const struct tar_entry *entry, const uint8_t block[TAR_BLOCK],
			     struct bytes pax);

static inline bool tar_sparse_wants_block(const struct tar_sparse *s)
{
	return s->wants_block;
}

const char *tar_sparse_take_block(struct tar_sparse *s, const uint8_t block[TAR_BLOCK]);

/* In order, apart, within `size`, and as long together as the `stored` bytes of data. */
const char *tar_sparse_check(const struct tar_sparse *s, uint64_t size, uint64_t stored);

#endif

/*
 * Counts a tar stream: entries, and the bytes of its regular files.
 *
 * A scanner of our own and not libarchive: the worker needs no names, owners or
 * times, only how far to skip, and 100 000 entries must cost milliseconds. It
 * walks as Go's archive/tar does, because that is what decides what other engines
 * find in the same layer: ustar, V7, GNU (long names, base-256 sizes, sparse files)
 * and PAX (`size`, GNU's three sparse forms). Links, directories, devices and
 * fifos carry no data whatever their size field says; the archive ends with two
 * zero blocks or with the stream, and what comes after is not looked at.
 *
 * files_bytes is what docker calls the size of a layer: the sizes of the regular
 * files, sparse ones with their holes, directories and links counting nothing.
 *
 * The stream comes in pieces of any length. Memory: the extended header that is
 * being collected, at most TAR_EXTENDED_MAX. One thread.
 */
#ifndef SERVICE_LAYER_TAR_COUNT_H
#define SERVICE_LAYER_TAR_COUNT_H

#include "proto/runtime/buf.h"
#include "service/layer/tar_entry.h"

enum tar_state {
	TAR_AT_HEADER,
	TAR_IN_DATA,	 /* `left` bytes, padding included, to skip */
	TAR_IN_EXTENDED, /* `left` bytes, padding included, to collect */
	TAR_IN_SPARSE_MAP,
	TAR_AT_SECOND_ZERO, /* one zero block was read */
	TAR_AT_END,
};

struct tar_count {
	uint64_t offset; /* in the stream: bytes fed */
	uint64_t entries, files_bytes;

	/* private */
	uint64_t max_entries, max_file;
	enum tar_state state;
	struct tar_entry entry;
	uint64_t left;
	uint64_t padding; /* of `left`: how much of its end is padding */
	uint8_t block[TAR_BLOCK];
	size_t block_len; /* < TAR_BLOCK: of a block that came in pieces */
	struct buf extended;
};

/* max_file: of one file, with its holes. */
void tar_count_init(struct tar_count *t, uint64_t max_entries, uint64_t max_file);
void tar_count_free(struct tar_count *t);

/* E_BAD_CONTENT: no tar, or a broken one, with the offset; E_LIMIT. After a failure
 * the counter is of no more use. */
int tar_count_feed(struct tar_count *t, const uint8_t *data, size_t len, struct err *err);
/* The stream has ended: E_BAD_CONTENT in the middle of an entry. */
int tar_count_finish(struct tar_count *t, struct err *err);
/* Whether the zero blocks came that end a tar. */
bool tar_count_at_end(const struct tar_count *t);

#endif

/*
 * The journal of an ingest: which bytes of its data file are known to be good.
 *
 * A file of two slots of JOURNAL_SLOT bytes, written in turns, so that a torn write
 * leaves the older one. Integers are little endian.
 *
 *   0    8  magic "imgdjrnl"          192  8  size of the blob, -1 unknown
 *   8    4  version                   200  8  synced: bytes vouched for
 *   12   4  zero                      208  256  etag, NUL-terminated
 *   16   8  sequence; higher is newer 464  4  length of the hash state
 *   24   40 boot_id, NUL-terminated   468  256  hash state after `synced` bytes
 *   64   65 digest as in a key        724  …  zero
 *   129  …  zero                      992  32 sha256 of the 992 bytes before
 *
 * `synced` is a multiple of the hash's block, and those bytes had been fdatasync'ed
 * before the slot was written.
 */
#ifndef STORE_CONTENT_JOURNAL_H
#define STORE_CONTENT_JOURNAL_H

#include "store/content/ingest.h"
#include "store/internal.h"

enum { JOURNAL_SLOT = 1024, JOURNAL_VERSION = 1 };

struct journal {
	uint64_t sequence;
	char boot_id[BOOT_ID_MAX];
	struct digest digest;
	int64_t size;
	int64_t synced;
	char etag[INGEST_ETAG_MAX];
	struct hasher hasher; /* after `synced` bytes */
};

void journal_encode(const struct journal *j, uint8_t out[JOURNAL_SLOT]);
/* False when the bytes are no slot that this version wrote whole. */
bool journal_decode(const uint8_t slot[JOURNAL_SLOT], struct journal *ret_journal);

/* Into the slot of its sequence; false with errno. */
bool journal_write(int fd, const struct journal *j);
/* The newest slot that is whole; false when there is none. */
bool journal_read(int fd, struct journal *ret_journal);

#endif

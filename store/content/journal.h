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
 *   64   65 digest as in a key        724  4  number of runs
 *   129  …  zero                      728  256  runs: first byte and end, 8 bytes each
 *                                     984  …  zero
 *                                     992  32 sha256 of the 992 bytes before
 *
 * `synced` is a multiple of the hash's block, and those bytes had been fdatasync'ed
 * before the slot was written. Version 1 is of a file that is written in order: each of
 * its bytes up to its end is one of the blob. One that is written in several places at
 * once has version 2, which tells the runs that had been written by then: what lies
 * between them is nothing.
 */
#ifndef STORE_CONTENT_JOURNAL_H
#define STORE_CONTENT_JOURNAL_H

#include "store/content/ingest.h"
#include "store/content/runs.h"
#include "store/internal.h"

enum { JOURNAL_SLOT = 1024, JOURNAL_VERSION = 1, JOURNAL_VERSION_RUNS = 2 };

struct journal {
	uint64_t sequence;
	char boot_id[BOOT_ID_MAX];
	struct digest digest;
	int64_t size;
	int64_t synced;
	char etag[INGEST_ETAG_MAX];
	struct hasher hasher; /* after `synced` bytes */
	bool scattered;	      /* written in several places: only `runs` is there */
	struct runs runs;     /* none unless scattered */
};

void journal_encode(const struct journal *j, uint8_t out[JOURNAL_SLOT]);
/* False when the bytes are no slot that this version wrote whole. */
bool journal_decode(const uint8_t slot[JOURNAL_SLOT], struct journal *ret_journal);

/* Into the slot of its sequence; false with errno. */
bool journal_write(int fd, const struct journal *j);
/* The newest slot that is whole; false when there is none. */
bool journal_read(int fd, struct journal *ret_journal);

#endif

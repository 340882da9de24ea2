/*
 * Files into a pack, one after another: small ones are gathered, so that many of them take one
 * write. Says the sha256 of each. Where a file begins is the caller's matter; what comes
 * before the end of a file that is given up is never read.
 *
 * What was written can be read after pack_writer_flush(). One thread.
 */
#ifndef STORE_CONTEXTS_PACK_WRITER_H
#define STORE_CONTEXTS_PACK_WRITER_H

#include "proto/runtime/buf.h"
#include "store/contexts/context_pack.h"
#include "store/types/digest.h"

enum { PACK_WRITER_BYTES = 1024 * 1024 };

struct pack_writer {
	struct context_pack *pack; /* borrowed */
	uint64_t begin, got;	   /* of the file: where it begins, how much of it has come */
	struct hasher hasher;
	struct buf buffer; /* not written yet: ends at begin + got */
};

/* clang-format off */
#define PACK_WRITER_INIT { .buffer = BUF_INIT(PACK_WRITER_BYTES) }
/* clang-format on */

void pack_writer_free(struct pack_writer *w);

int pack_writer_begin(struct pack_writer *w, uint64_t offset, struct err *err);
int pack_writer_add(struct pack_writer *w, struct bytes data, struct err *err);
/* The file is whole; `begin` is behind it then. */
struct digest pack_writer_end(struct pack_writer *w);
int pack_writer_flush(struct pack_writer *w, struct err *err);

#endif

/*
 * The bytes of a context's files, one after another in one file. Room is given out from its
 * end; what is in it is never written again, so that builds read while others add. Large
 * files begin at a block, so that a file system that shares blocks can share theirs.
 *
 * Threads: any. Reference-counted.
 */
#ifndef STORE_CONTEXTS_CONTEXT_PACK_H
#define STORE_CONTEXTS_CONTEXT_PACK_H

#include "store/contexts/context_file.h"

enum { PACK_BLOCK = 4096, PACK_ALIGNED_FROM = 64 * 1024 };

struct context_pack {
	struct context_file file;
	pthread_mutex_t mu;
	uint64_t end; /* of what was given out; under mu */
	atomic_uint refs;
};

int context_pack_create(struct store *s, const char *directory, struct context_pack **ret_pack, struct err *err);
/* `end`: as its record says; what is behind it is cut off. */
int context_pack_open(struct store *s, const char *directory, uint64_t number, uint64_t end,
		      struct context_pack **ret_pack, struct err *err);
struct context_pack *context_pack_ref(struct context_pack *p);
void context_pack_unref(struct context_pack *p); /* NULL is fine */
void context_pack_unrefp(struct context_pack **p);

/* Where the next file of this size begins when the one before ended at `at`. */
static inline uint64_t context_pack_align(uint64_t at, uint64_t size)
{
	return size >= PACK_ALIGNED_FROM ? (at + PACK_BLOCK - 1) / PACK_BLOCK * PACK_BLOCK : at;
}

uint64_t context_pack_end(struct context_pack *p);
/* Room for `bytes`, from a block's beginning. */
uint64_t context_pack_reserve(struct context_pack *p, uint64_t bytes);
/* What was not used of room up to `reserved_end`, if nobody has been given room since. */
void context_pack_give_back(struct context_pack *p, uint64_t used_end, uint64_t reserved_end);

/* For files of another pack. */
int context_pack_copy(struct context_pack *from, uint64_t from_offset, uint64_t len, struct context_pack *to,
		      uint64_t to_offset, struct err *err);

#endif

/*
 * Blocks of metadata in which inodes are collected, each with its xattrs and the tail of
 * its data, until a block is full and is appended to the image.
 *
 * Some blocks are open at a time, so that what does not fit into one finds room in
 * another; those that are full are appended many together, so that who reads metadata
 * alone finds it in few places. A block's place in the image is known only when it is
 * appended: inodes are named by the block's number, and erofs_meta_nid() tells after
 * erofs_meta_flush().
 *
 * Memory: the open blocks, a run of full ones, and 4 bytes for each block of metadata.
 * One thread.
 */
#ifndef SERVICE_LAYER_EROFS_META_H
#define SERVICE_LAYER_EROFS_META_H

#include "service/layer/erofs/output.h"
#include "service/layer/erofs/tree.h"

enum { EROFS_META_OPEN = 64, EROFS_META_RUN = 256 };

struct erofs_meta_block {
	uint32_t number;
	uint8_t bytes[EROFS_BLOCK];
};

/* Blocks that are full and not yet in the image. */
struct erofs_meta_run {
	size_t n;
	uint32_t numbers[EROFS_META_RUN];
	uint8_t bytes[EROFS_META_RUN][EROFS_BLOCK];
};

struct erofs_meta {
	struct erofs_output *output;
	struct erofs_meta_run *run;
	struct erofs_meta_block *open;	 /* EROFS_META_OPEN */
	uint16_t rooms[EROFS_META_OPEN]; /* what is left in each, a multiple of EROFS_SLOT */
	bool is_open[EROFS_META_OPEN];	 /* else there is no room */
	uint32_t *blocks;		 /* n: where in the image each number is */
	size_t n, room;
};

int erofs_meta_init(struct erofs_meta *m, struct erofs_output *o, struct err *err);
void erofs_meta_free(struct erofs_meta *m);

/* The parts one after another: within one block when they fit into one, else in blocks
 * of their own. The image's end is aligned, before and after. */
int erofs_meta_put(struct erofs_meta *m, const struct bytes *parts, size_t n_parts, struct erofs_place *ret_place,
		   struct err *err);
int erofs_meta_flush(struct erofs_meta *m, struct err *err);

static inline uint64_t erofs_meta_nid(const struct erofs_meta *m, struct erofs_place place)
{
	return (uint64_t)m->blocks[place.meta] * EROFS_SLOTS_PER_BLOCK + place.slot;
}

#endif

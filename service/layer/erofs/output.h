/*
 * The image file while it is written: bytes are appended from block 1 on, in large
 * writes; block 0 and single fields are put in their places at the end.
 *
 * What has been written is pushed out to the disk behind, so that the fsync of who commits
 * the file finds little to do. Bytes of files, few of which are read soon, are then dropped
 * from the page cache, and their pages serve those that follow: fresh ones for a whole layer
 * cost more than its writing. Metadata stays, as it is looked at as soon as it is there.
 *
 * One thread. Failures: E_DISK_FULL, E_IO, and E_LIMIT past the largest image.
 */
#ifndef SERVICE_LAYER_EROFS_OUTPUT_H
#define SERVICE_LAYER_EROFS_OUTPUT_H

#include "proto/runtime/mem.h"
#include "service/layer/erofs/format.h"

enum { EROFS_OUTPUT_BYTES = 1024 * 1024, EROFS_OUTPUT_BEHIND = 32 };

struct erofs_extent {
	uint64_t at;
	size_t len;
};

struct erofs_output {
	int fd;		 /* the caller's */
	uint64_t max;	 /* bytes of the image */
	uint64_t at;	 /* of the file: everything before it is in the file, but block 0 */
	uint64_t pushed; /* before it, the writing of all was started */
	bool only_metadata;
	uint64_t n_behind; /* ever; the last ones are in behind[], each in the place of its number */
	struct erofs_extent behind[EROFS_OUTPUT_BEHIND];
	uint8_t *buffer;
	size_t used; /* < EROFS_OUTPUT_BYTES after each call */
};

int erofs_output_init(struct erofs_output *o, int fd, uint64_t max, struct err *err);
void erofs_output_free(struct erofs_output *o);

int erofs_output_append(struct erofs_output *o, const void *data, size_t len, struct err *err);
int erofs_output_zeros(struct erofs_output *o, uint64_t len, struct err *err);
/* Zeros up to the next block. */
int erofs_output_align(struct erofs_output *o, struct err *err);

static inline uint64_t erofs_output_end(const struct erofs_output *o)
{
	return o->at + o->used;
}

/* The block that is appended next; the end is aligned. */
static inline uint32_t erofs_output_block(const struct erofs_output *o)
{
	return (uint32_t)(erofs_output_end(o) >> EROFS_BLOCK_BITS);
}

/* Everything that was appended is in the file. */
int erofs_output_flush(struct erofs_output *o, struct err *err);

/* Blocks of metadata; the end is aligned. */
int erofs_output_append_metadata(struct erofs_output *o, const void *data, size_t len, struct err *err);
/* What is appended from here on is metadata too. */
int erofs_output_only_metadata(struct erofs_output *o, struct err *err);

/* Over what is in the file, or block 0. */
int erofs_output_patch(struct erofs_output *o, uint64_t at, const void *data, size_t len, struct err *err);

#endif

/*
 * A plain layer as gzip or zstd, for a registry: on several cores, in order, in bounded memory.
 *
 * gzip is one member, by ISA-L: no name and no time in its header, blocks of fixed size that
 * know nothing of each other, so that the same tar gives the same bytes however many threads
 * were at it (on one kind of processor: ISA-L looks for matches in other ways on others).
 * zstd is one frame, by libzstd's own threads, in jobs of fixed size, with the same promise for
 * one version of the library. The tar is compared with its digest as it goes by.
 *
 * Memory: 2 * (threads + 1) blocks of COMPRESS_BLOCK, in and out; of zstd, a job of each thread.
 */
#ifndef SERVICE_IMAGE_COMPRESS_LAYER_H
#define SERVICE_IMAGE_COMPRESS_LAYER_H

#include "store/content/ingest.h"
#include "store/types/manifest.h"

enum {
	COMPRESS_BLOCK = 1024 * 1024,
	COMPRESS_THREADS_MAX = 8,
	COMPRESS_GZIP_LEVEL = 3, /* ISA-L's highest: higher ones mean the same */
	COMPRESS_ZSTD_LEVEL = 3,
	COMPRESS_ZSTD_LEVEL_MAX = 12, /* memory of each thread doubles beyond */
};

struct compress_options {
	enum compression compression; /* COMPRESSION_GZIP or COMPRESSION_ZSTD */
	int level;		      /* 0: the default above */
	unsigned threads;	      /* 0: as many as cores */
};

/* All of `fd`, of which the digest is known. The ingest is finished, not yet committed;
 * the caller unrefs it. E_CORRUPT: the bytes are not those of the digest. */
int compress_layer(struct store *s, int fd, const struct digest *tar, const struct compress_options *options,
		   struct cancel *cancel, struct ingest **ret_ingest, struct digest *ret_digest, struct err *err);

/* ---- private to compress_*.c ---------------------------------------------------- */

/* The tar as it is read, hashed on the way; pieces end where the file does. */
struct compress_source {
	int fd;
	struct hasher hasher;
	struct cancel *cancel;
};

/* A whole block, or what is left. */
int compress_read(struct compress_source *s, uint8_t *data, size_t size, size_t *ret_len, struct err *err);

int compress_gzip(struct compress_source *s, int level, unsigned threads, struct ingest *out, struct err *err);
int compress_zstd(struct compress_source *s, int level, unsigned threads, struct ingest *out, struct err *err);

#endif

/*
 * The bytes of an archive as they come from a client: in order (a pipe), or on demand
 * where the client can seek (a file). A compressed archive is inflated on the way, in
 * the sandboxed worker, and then comes in order whatever the client can.
 *
 * One thread: that of the call.
 */
#ifndef SERVICE_IMAGE_ARCHIVE_SOURCE_H
#define SERVICE_IMAGE_ARCHIVE_SOURCE_H

#include "proto/runtime/buf.h"
#include "service/layer/archive.h"

enum { ARCHIVE_WINDOW_BYTES = 64 * 1024, ARCHIVE_BLOCK_BYTES = 512, ARCHIVE_PIECE_BYTES = 256 * 1024 };

/* The client's side of the call. */
struct archive_peer {
	/* The data of the next message, borrowed until the next call: 1, 0 when there is
	 * nothing more, or a negative code. */
	int (*receive)(void *arg, struct bytes *ret_data, struct err *err);
	/* Asks for a part; NULL when the client cannot seek. */
	int (*want)(void *arg, int64_t offset, int64_t length, struct err *err);
	void *arg;
	int64_t size; /* with want */
	/* gzip and zstd come as they are: a layer may be so compressed. */
	bool keeps_layers;
};

struct archive_source {
	struct archive_peer peer;
	struct cancel *cancel;
	struct inflate_filter *filter; /* NULL: the archive is plain */
	struct bytes raw;	       /* received, and not yet used */
	bool raw_ended, filter_ended;
	int64_t asked;		   /* of a compressed archive on demand: what still comes */
	uint8_t first[6];	   /* the bytes that told what it is, */
	struct bytes behind_first; /* and what had come behind them */
	uint8_t *inflated;	   /* ARCHIVE_PIECE_BYTES, with a filter */

	/* In order. */
	struct bytes piece; /* the plain bytes that begin at `position` */
	int64_t position;

	/* On demand: what was read ahead. */
	struct buf window;
	int64_t window_at;
};

/* Looks at the first bytes. `program`: imaged-layer. */
int archive_source_open(struct archive_source *s, const struct archive_peer *peer, const char *program,
			struct cancel *cancel, struct err *err);
void archive_source_close(struct archive_source *s);

/* Whether parts may be asked for in any order. */
bool archive_source_seeks(const struct archive_source *s);

/* The block at `offset`, which in order is never before what was read last. Less than
 * a block only where the archive ends. */
int archive_source_block(struct archive_source *s, int64_t offset, uint8_t block[ARCHIVE_BLOCK_BYTES], size_t *ret_len,
			 struct err *err);

/* Where the archive ends, once archive_source_block() has given less than a block. */
int64_t archive_source_end(const struct archive_source *s);

typedef int archive_sink(void *arg, struct bytes data, struct err *err);

/* All of [offset, offset + length) into the sink; E_BAD_CONTENT "unexpected EOF". */
int archive_source_copy(struct archive_source *s, int64_t offset, int64_t length, archive_sink *sink, void *arg,
			struct err *err);
/* The rest, to the end: in order only. */
int archive_source_drain(struct archive_source *s, archive_sink *sink, void *arg, struct err *err);

#endif

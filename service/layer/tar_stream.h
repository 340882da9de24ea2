/*
 * A tar stream taken apart: each entry with all that is said about it, then its data.
 * For whoever makes something of a layer's files (erofs/writer.h); tar_count.h, which
 * only counts them, finds the same entries, since both stand on tar_entry.h.
 *
 * Names: PAX (for sparse files GNU.sparse.name), else GNU's long name, else the header
 * with ustar's prefix; raw bytes without a NUL, at most TAR_NAME_MAX. Refused with
 * E_BAD_CONTENT are what tar_count.h refuses, names that are empty or too long, more
 * than TAR_HEADER_RUN extended headers in a row, maps of sparse files that do not fit
 * them, and with E_UNSUPPORTED entries of unknown types.
 *
 * The stream comes in pieces of any length. After two zero blocks nothing is looked at.
 * Memory: at most three extended headers of TAR_EXTENDED_MAX and the map of one sparse
 * file. One thread.
 */
#ifndef SERVICE_LAYER_TAR_STREAM_H
#define SERVICE_LAYER_TAR_STREAM_H

#include "service/layer/tar_attributes.h"
#include "service/layer/tar_entry.h"
#include "service/layer/tar_sparse.h"

enum { TAR_NAME_MAX = 4096, TAR_HEADER_RUN = 32 };

enum tar_kind {
	TAR_KIND_REGULAR,
	TAR_KIND_DIRECTORY,
	TAR_KIND_SYMLINK,
	TAR_KIND_HARD_LINK,
	TAR_KIND_CHAR_DEVICE,
	TAR_KIND_BLOCK_DEVICE,
	TAR_KIND_FIFO,
};

/* Everything in it is borrowed until the sink's end(). */
struct tar_item {
	enum tar_kind kind;
	struct bytes name;
	struct bytes link; /* links: the target, else empty */
	uint64_t size;	   /* regular files: with holes; else 0 */
	bool is_sparse;
	const struct tar_piece *pieces; /* is_sparse: n of them, sound; the data are theirs, in order */
	size_t n_pieces;
	struct tar_attributes attributes;
	struct bytes pax; /* the records, of sound form */
	uint64_t at;	  /* byte of the stream where the entry's own header begins */
};

/* Each entry: begin(), data() as often as it takes, end(). A failure goes to the caller
 * of tar_stream_feed(). */
struct tar_sink {
	void *arg;
	int (*begin)(void *arg, const struct tar_item *item, struct err *err);
	int (*data)(void *arg, const uint8_t *data, size_t len, struct err *err);
	int (*end)(void *arg, struct err *err);
};

enum tar_extended_kind { TAR_RECORDS, TAR_LONG_NAME, TAR_LONG_LINK, TAR_GLOBAL, TAR_EXTENDED_KINDS };

struct tar_stream;

/* max_entries: E_LIMIT past it; max_file: bytes of one file, with its holes. */
int tar_stream_new(const struct tar_sink *sink, uint64_t max_entries, uint64_t max_file, struct tar_stream **ret_stream,
		   struct err *err);
void tar_stream_free(struct tar_stream *t); /* NULL is fine */
void tar_stream_freep(struct tar_stream **t);

/* After a failure the stream is of no more use. */
int tar_stream_feed(struct tar_stream *t, const uint8_t *data, size_t len, struct err *err);
/* The stream has ended: E_BAD_CONTENT in the middle of an entry. */
int tar_stream_finish(struct tar_stream *t, struct err *err);

uint64_t tar_stream_bytes(const struct tar_stream *t);
uint64_t tar_stream_entries(const struct tar_stream *t);

#endif

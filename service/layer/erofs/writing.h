/*
 * What the files of the writer share: writer.c takes entries, file.c and chunks.c put
 * files into the image, directories.c its end.
 */
#ifndef SERVICE_LAYER_EROFS_WRITING_H
#define SERVICE_LAYER_EROFS_WRITING_H

#include "service/layer/erofs/inode.h"
#include "service/layer/erofs/meta.h"
#include "service/layer/erofs/output.h"
#include "service/layer/erofs/path.h"
#include "service/layer/erofs/tree.h"
#include "service/layer/erofs/writer.h"
#include "service/layer/erofs/xattr.h"

/* A sparse file: which chunk of it is where. */
struct erofs_chunks {
	unsigned bits; /* log2 of bytes per chunk; 0: the file is flat */
	uint32_t *map; /* n block numbers, as in the image */
	size_t n;
	uint64_t stored;	       /* bytes of chunks with data, and of the map */
	const struct tar_piece *piece; /* of the entry: where the next byte of data belongs */
	uint64_t in_piece;
	uint64_t at, end; /* in the file: written up to, and the end of the chunk that is being written */
};

/* The regular file whose data go by. */
struct erofs_file {
	struct erofs_facts facts;
	bool is_extended;
	uint64_t in_blocks; /* flat: bytes that do not go into the tail */
	uint64_t taken;
	size_t tail_len;
	struct erofs_chunks chunks;
	uint8_t tail[EROFS_BLOCK];
};

struct erofs_writer {
	struct erofs_limits limits;
	struct tar_stream *stream;
	struct erofs_output output;
	struct erofs_meta meta;
	struct erofs_tree tree;
	struct erofs_xattr_set xattrs;
	struct erofs_time time; /* of the superblock: the first entry's */
	bool has_time;
	uint32_t inodes; /* written */
	bool has_chunks; /* some file is chunk-based */

	/* the entry that goes by */
	bool takes_data; /* it is a regular file, and not one that says something else by its name */
	struct erofs_path path;
	struct erofs_directory *directory; /* of its name */
	struct erofs_attributes attributes;
	struct erofs_file file;
};

/* Writes an inode with its xattrs and what follows them. */
int erofs_put_inode(struct erofs_writer *w, const struct erofs_facts *facts, bool is_extended, struct bytes tail,
		    struct erofs_inode *inode, struct err *err);

/* ---- file.c: w->file, of w->attributes --------------------------------------------- */

int erofs_file_begin(struct erofs_writer *w, const struct tar_item *item, struct err *err);
int erofs_file_data(struct erofs_writer *w, const uint8_t *data, size_t len, struct err *err);
int erofs_file_end(struct erofs_writer *w, struct erofs_inode *inode, struct err *err);
/* Something that has bytes but is not streamed: a symlink's target. */
int erofs_file_whole(struct erofs_writer *w, struct bytes content, struct erofs_inode *inode, struct err *err);

/* ---- chunks.c ------------------------------------------------------------------------ */

/* Chooses the chunks; leaves bits 0 when the file has no hole. */
int erofs_chunks_begin(struct erofs_chunks *c, const struct tar_item *item, struct err *err);
void erofs_chunks_free(struct erofs_chunks *c);
int erofs_chunks_data(struct erofs_writer *w, const uint8_t *data, size_t len, struct err *err);
int erofs_chunks_end(struct erofs_writer *w, struct err *err);

/* ---- directories.c ------------------------------------------------------------------- */

/* Whiteouts, directories, link counts, superblock. */
int erofs_write_directories(struct erofs_writer *w, struct erofs_result *result, struct err *err);

#endif

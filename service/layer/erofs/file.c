#include "service/layer/erofs/writing.h"

#include <assert.h>
#include <inttypes.h>

enum { SPARSE_RATIO = 32, SPARSE_RATIO_FROM = 256 * 1024 * 1024 };

int erofs_put_inode(struct erofs_writer *w, const struct erofs_facts *facts, bool is_extended, struct bytes tail,
		    struct erofs_inode *inode, struct err *err)
{
	union erofs_inode_bytes bytes;
	const struct bytes parts[] = { erofs_inode_write(facts, is_extended, &bytes), facts->attributes->xattrs, tail };

	inode->is_extended = is_extended;
	return erofs_meta_put(&w->meta, parts, ARRAY_LEN(parts), &inode->place, err);
}

/* ---- flat files -------------------------------------------------------------------- */

/* The tail goes behind the inode when both fit into a block. */
static void choose_layout(struct erofs_writer *w, uint64_t size)
{
	struct erofs_file *f = &w->file;
	size_t tail = size % EROFS_BLOCK, head;

	f->facts.size = size;
	f->is_extended = erofs_inode_is_extended(&f->facts, w->time);
	head = erofs_inode_len(f->is_extended) + w->attributes.xattrs.len;
	if (tail && head + tail <= EROFS_BLOCK) {
		f->facts.layout = EROFS_FLAT_INLINE;
		f->in_blocks = size - tail;
	} else {
		f->facts.layout = EROFS_FLAT_PLAIN;
		f->in_blocks = size;
	}
	if (f->in_blocks)
		f->facts.place = erofs_output_block(&w->output);
}

static void begin_facts(struct erofs_writer *w)
{
	struct erofs_file *f = &w->file;

	f->facts = (struct erofs_facts){ .attributes = &w->attributes, .ino = ++w->inodes, .links = 1 };
	f->taken = 0;
	f->tail_len = 0;
}

static int flat_data(struct erofs_writer *w, const uint8_t *data, size_t len, struct err *err)
{
	struct erofs_file *f = &w->file;
	size_t n = min_size(f->in_blocks - f->taken, len);
	int rc = erofs_output_append(&w->output, data, n, err);

	if (rc != OK)
		return rc;
	f->taken += n;
	assert(len - n <= sizeof f->tail - f->tail_len);
	memcpy(f->tail + f->tail_len, data + n, len - n);
	f->tail_len += len - n;
	return OK;
}

static int flat_end(struct erofs_writer *w, struct erofs_inode *inode, struct err *err)
{
	struct erofs_file *f = &w->file;
	int rc = erofs_output_align(&w->output, err);

	if (rc != OK)
		return rc;
	return erofs_put_inode(w, &f->facts, f->is_extended, (struct bytes){ f->tail, f->tail_len }, inode, err);
}

int erofs_file_whole(struct erofs_writer *w, struct bytes content, struct erofs_inode *inode, struct err *err)
{
	int rc;

	begin_facts(w);
	choose_layout(w, content.len);
	rc = flat_data(w, content.data, content.len, err);
	return rc == OK ? flat_end(w, inode, err) : rc;
}

/* ---- sparse files ------------------------------------------------------------------ */

/* Chunks are stored whole, so that a small archive can ask for much. */
static int check_ratio(const struct erofs_writer *w, struct err *err)
{
	uint64_t most = SPARSE_RATIO_FROM + SPARSE_RATIO * tar_stream_bytes(w->stream);

	if (w->file.chunks.stored > most || erofs_output_end(&w->output) > most - w->file.chunks.stored)
		return fail(err, E_LIMIT, "layer has sparse files that make its image more than %d times as large",
			    SPARSE_RATIO);
	return OK;
}

static int begin_sparse(struct erofs_writer *w, uint64_t size, struct err *err)
{
	struct erofs_file *f = &w->file;

	f->facts.size = size;
	f->facts.layout = EROFS_CHUNK_BASED;
	w->has_chunks = true;
	f->facts.place = f->chunks.bits - EROFS_BLOCK_BITS;
	f->is_extended = erofs_inode_is_extended(&f->facts, w->time);
	return check_ratio(w, err);
}

/* The map is behind inode and xattrs, which both end on a multiple of 4. */
static int end_sparse(struct erofs_writer *w, struct erofs_inode *inode, struct err *err)
{
	struct erofs_file *f = &w->file;
	struct bytes map = { (const uint8_t *)f->chunks.map, f->chunks.n * sizeof *f->chunks.map };
	int rc = erofs_chunks_end(w, err);

	if (rc == OK)
		rc = erofs_put_inode(w, &f->facts, f->is_extended, map, inode, err);
	erofs_chunks_free(&f->chunks);
	return rc;
}

/* ---- both -------------------------------------------------------------------------- */

int erofs_file_begin(struct erofs_writer *w, const struct tar_item *item, struct err *err)
{
	int rc = OK;

	begin_facts(w);
	erofs_chunks_free(&w->file.chunks);
	if (item->is_sparse)
		rc = erofs_chunks_begin(&w->file.chunks, item, err);
	if (rc != OK || w->file.chunks.bits)
		return rc == OK ? begin_sparse(w, item->size, err) : rc;
	choose_layout(w, item->size);
	return OK;
}

int erofs_file_data(struct erofs_writer *w, const uint8_t *data, size_t len, struct err *err)
{
	return w->file.chunks.bits ? erofs_chunks_data(w, data, len, err) : flat_data(w, data, len, err);
}

int erofs_file_end(struct erofs_writer *w, struct erofs_inode *inode, struct err *err)
{
	return w->file.chunks.bits ? end_sparse(w, inode, err) : flat_end(w, inode, err);
}

#include "service/layer/erofs/writing.h"

#include <assert.h>

enum {
	BITS_MAX = EROFS_BLOCK_BITS + EROFS_CHUNK_BITS,
	MAP_MAX = 1024 * 1024, /* chunks of one file */
};

/* ---- how large a chunk is ----------------------------------------------------------- */

static uint64_t chunks_of(uint64_t size, unsigned bits)
{
	return (size >> bits) + ((size & ((UINT64_C(1) << bits) - 1)) != 0);
}

/* Chunks in which there are data. */
static uint64_t count_touched(const struct tar_item *item, unsigned bits)
{
	uint64_t n = 0, next = 0; /* the first chunk that is not counted yet */

	for (size_t i = 0; i < item->n_pieces; i++) {
		const struct tar_piece *p = &item->pieces[i];
		uint64_t first = p->offset >> bits, end = chunks_of(p->offset + p->len, bits);

		if (!p->len)
			continue;
		if (first < next)
			first = next;
		if (end > first) {
			n += end - first;
			next = end;
		}
	}
	return n;
}

/* Bytes in the image, more or less: the last chunk may be shorter. */
static uint64_t cost(const struct tar_item *item, unsigned bits)
{
	uint64_t touched = count_touched(item, bits);

	return touched > UINT64_MAX >> (bits + 1) ? UINT64_MAX
						  : (touched << bits) + chunks_of(item->size, bits) * sizeof(uint32_t);
}

/* The cheapest; the smaller one of two. */
static unsigned choose_bits(const struct tar_item *item, uint64_t *ret_cost)
{
	unsigned best = 0;
	uint64_t least = 0;

	for (unsigned bits = EROFS_BLOCK_BITS; bits <= BITS_MAX; bits++) {
		uint64_t c = cost(item, bits);

		if (chunks_of(item->size, bits) > MAP_MAX)
			continue;
		if (!best || c < least) {
			least = c;
			best = bits;
		}
		if (item->size >> bits == 0)
			break; /* one chunk has it all */
	}
	*ret_cost = least;
	return best;
}

static bool has_holes(const struct tar_item *item)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < item->n_pieces; i++)
		sum += item->pieces[i].len;
	return sum < item->size;
}

/* ---- begin -------------------------------------------------------------------------- */

void erofs_chunks_free(struct erofs_chunks *c)
{
	free(c->map);
	*c = (struct erofs_chunks){ 0 };
}

int erofs_chunks_begin(struct erofs_chunks *c, const struct tar_item *item, struct err *err)
{
	uint64_t stored;
	unsigned bits;

	if (!has_holes(item))
		return OK;
	bits = choose_bits(item, &stored);
	*c = (struct erofs_chunks){ .bits = bits, .stored = stored, .piece = item->pieces };
	c->n = (size_t)chunks_of(item->size, bits);
	c->map = reallocarray(NULL, c->n, sizeof *c->map);
	if (!c->map)
		return fail_nomem(err);
	memset(c->map, 0xff, c->n * sizeof *c->map); /* EROFS_NO_BLOCK */
	return OK;
}

/* ---- data --------------------------------------------------------------------------- */

/* Zeros up to the end of the chunk that is being written; behind the file's last block
 * there is nothing. */
static int end_chunk(struct erofs_writer *w, struct err *err)
{
	struct erofs_chunks *c = &w->file.chunks;
	uint64_t last = w->file.facts.size + -w->file.facts.size % EROFS_BLOCK, end = c->end < last ? c->end : last;
	int rc = erofs_output_zeros(&w->output, end - c->at, err);

	c->at = c->end;
	return rc;
}

/* Makes `offset` the next byte that is written. */
static int go_to(struct erofs_writer *w, uint64_t offset, struct err *err)
{
	struct erofs_chunks *c = &w->file.chunks;
	int rc = OK;

	if (offset >= c->end) {
		uint64_t number = offset >> c->bits;

		rc = end_chunk(w, err);
		c->map[number] = htole32(erofs_output_block(&w->output));
		c->at = number << c->bits;
		c->end = (number + 1) << c->bits;
	}
	if (rc == OK)
		rc = erofs_output_zeros(&w->output, offset - c->at, err);
	c->at = offset;
	return rc;
}

static int put_some(struct erofs_writer *w, const uint8_t *data, size_t len, size_t *ret_taken, struct err *err)
{
	struct erofs_chunks *c = &w->file.chunks;
	size_t n = min_size(c->piece->len - c->in_piece, len);
	int rc = n ? go_to(w, c->piece->offset + c->in_piece, err) : OK;

	if (rc != OK)
		return rc;
	n = min_size(c->end - c->at, n);
	rc = erofs_output_append(&w->output, data, n, err);
	c->at += n;
	c->in_piece += n;
	if (c->in_piece == c->piece->len) {
		c->piece++; /* tar_sparse_check(): there are as many as there are data */
		c->in_piece = 0;
	}
	*ret_taken = n;
	return rc;
}

int erofs_chunks_data(struct erofs_writer *w, const uint8_t *data, size_t len, struct err *err)
{
	while (len) {
		size_t taken;
		int rc = put_some(w, data, len, &taken, err);

		if (rc != OK)
			return rc;
		data += taken;
		len -= taken;
	}
	return OK;
}

int erofs_chunks_end(struct erofs_writer *w, struct err *err)
{
	return end_chunk(w, err);
}

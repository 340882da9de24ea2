#include "service/layer/erofs/meta.h"

#include <assert.h>

enum { NUMBERS_MIN = 1024 };

int erofs_meta_init(struct erofs_meta *m, struct erofs_output *o, struct err *err)
{
	*m = (struct erofs_meta){
		.output = o,
		.run = malloc(sizeof *m->run),
		.open = calloc(EROFS_META_OPEN, sizeof *m->open),
	};
	if (!m->run || !m->open)
		return fail_nomem(err);
	m->run->n = 0;
	return OK;
}

void erofs_meta_free(struct erofs_meta *m)
{
	free(TAKE(m->run));
	free(TAKE(m->open));
	free(TAKE(m->blocks));
}

/* ---- numbers --------------------------------------------------------------------- */

static int new_number(struct erofs_meta *m, uint32_t *ret_number, struct err *err)
{
	if (m->n == UINT32_MAX)
		return fail(err, E_LIMIT, "layer has too many files");
	if (m->n == m->room) {
		size_t room = m->room ? m->room * 2 : NUMBERS_MIN;
		uint32_t *blocks = reallocarray(m->blocks, room, sizeof *blocks);

		if (!blocks)
			return fail_nomem(err);
		m->blocks = blocks;
		m->room = room;
	}
	m->blocks[m->n] = 0;
	*ret_number = (uint32_t)m->n++;
	return OK;
}

/* ---- open blocks ----------------------------------------------------------------- */

static int append_run(struct erofs_meta *m, struct err *err)
{
	struct erofs_meta_run *run = m->run;
	uint32_t first = erofs_output_block(m->output);
	int rc = erofs_output_append_metadata(m->output, run->bytes, run->n * EROFS_BLOCK, err);

	for (size_t i = 0; i < run->n; i++)
		m->blocks[run->numbers[i]] = first + (uint32_t)i;
	run->n = 0;
	return rc;
}

static int close_block(struct erofs_meta *m, struct erofs_meta_block *b, struct err *err)
{
	struct erofs_meta_run *run = m->run;

	run->numbers[run->n] = b->number;
	memcpy(run->bytes[run->n++], b->bytes, sizeof b->bytes);
	b->is_open = false;
	return run->n == EROFS_META_RUN ? append_run(m, err) : OK;
}

static size_t room_of(const struct erofs_meta_block *b)
{
	return b->is_open ? EROFS_BLOCK - b->used : 0;
}

/* The one in which least room is left over, or NULL. */
static struct erofs_meta_block *best_fit(struct erofs_meta *m, size_t size)
{
	struct erofs_meta_block *best = NULL;

	for (size_t i = 0; i < EROFS_META_OPEN; i++) {
		struct erofs_meta_block *b = &m->open[i];

		if (room_of(b) >= size && (!best || room_of(b) < room_of(best)))
			best = b;
	}
	return best;
}

/* One that is not open, else the fullest. */
static struct erofs_meta_block *fullest(struct erofs_meta *m)
{
	struct erofs_meta_block *full = &m->open[0];

	for (size_t i = 1; i < EROFS_META_OPEN; i++)
		if (room_of(&m->open[i]) < room_of(full))
			full = &m->open[i];
	return full;
}

static int open_block(struct erofs_meta *m, struct erofs_meta_block **ret_block, struct err *err)
{
	struct erofs_meta_block *b = fullest(m);
	int rc = b->is_open ? close_block(m, b, err) : OK;

	if (rc == OK)
		rc = new_number(m, &b->number, err);
	if (rc != OK)
		return rc;
	b->is_open = true;
	b->used = 0;
	memset(b->bytes, 0, sizeof b->bytes);
	*ret_block = b;
	return OK;
}

/* ---- what is put ----------------------------------------------------------------- */

static void copy_parts(struct erofs_meta_block *b, const struct bytes *parts, size_t n_parts)
{
	for (size_t i = 0; i < n_parts; i++) {
		if (parts[i].len)
			memcpy(b->bytes + b->used, parts[i].data, parts[i].len);
		b->used += parts[i].len;
	}
	b->used += -b->used % EROFS_SLOT;
}

static int put_alone(struct erofs_meta *m, const struct bytes *parts, size_t n_parts, struct erofs_place *ret_place,
		     struct err *err)
{
	struct erofs_place place = { 0 };
	int rc = new_number(m, &place.meta, err);

	if (rc != OK)
		return rc;
	m->blocks[place.meta] = erofs_output_block(m->output);
	for (size_t i = 0; rc == OK && i < n_parts; i++)
		rc = erofs_output_append(m->output, parts[i].data, parts[i].len, err);
	if (rc == OK)
		rc = erofs_output_align(m->output, err);
	*ret_place = place;
	return rc;
}

int erofs_meta_put(struct erofs_meta *m, const struct bytes *parts, size_t n_parts, struct erofs_place *ret_place,
		   struct err *err)
{
	struct erofs_meta_block *b;
	size_t size = 0;
	int rc = OK;

	assert(erofs_output_end(m->output) % EROFS_BLOCK == 0);
	for (size_t i = 0; i < n_parts; i++)
		size += parts[i].len;
	if (size > EROFS_BLOCK)
		return put_alone(m, parts, n_parts, ret_place, err);
	b = best_fit(m, size);
	if (!b)
		rc = open_block(m, &b, err);
	if (rc != OK)
		return rc;
	*ret_place = (struct erofs_place){ b->number, (uint8_t)(b->used / EROFS_SLOT) };
	copy_parts(b, parts, n_parts);
	return OK;
}

int erofs_meta_flush(struct erofs_meta *m, struct err *err)
{
	int rc = OK;

	for (size_t i = 0; rc == OK && i < EROFS_META_OPEN; i++)
		if (m->open[i].is_open)
			rc = close_block(m, &m->open[i], err);
	if (rc == OK)
		rc = append_run(m, err);
	return rc == OK ? erofs_output_only_metadata(m->output, err) : rc;
}

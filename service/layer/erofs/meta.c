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

/* Nothing is done for a block that is not open. */
static int close_block(struct erofs_meta *m, size_t k, struct err *err)
{
	struct erofs_meta_run *run = m->run;

	if (!m->is_open[k])
		return OK;
	run->numbers[run->n] = m->open[k].number;
	memcpy(run->bytes[run->n++], m->open[k].bytes, EROFS_BLOCK);
	m->is_open[k] = false;
	m->rooms[k] = 0;
	return run->n == EROFS_META_RUN ? append_run(m, err) : OK;
}

/* Room and place in one number, so that the least is found without a branch for each. */
static uint32_t rank(const struct erofs_meta *m, size_t k)
{
	return (uint32_t)m->rooms[k] << 8 | (uint32_t)k;
}

/* The one in which least room is left over, or EROFS_META_OPEN. */
static size_t best_fit(const struct erofs_meta *m, size_t size)
{
	uint32_t best = UINT32_MAX;

	for (size_t k = 0; k < EROFS_META_OPEN; k++) {
		uint32_t this = m->rooms[k] >= size ? rank(m, k) : UINT32_MAX;

		best = this < best ? this : best;
	}
	return best == UINT32_MAX ? EROFS_META_OPEN : best & 0xff;
}

/* One that is not open, else the fullest. */
static size_t fullest(const struct erofs_meta *m)
{
	uint32_t best = UINT32_MAX;

	for (size_t k = 0; k < EROFS_META_OPEN; k++)
		best = rank(m, k) < best ? rank(m, k) : best;
	return best & 0xff;
}

static int open_block(struct erofs_meta *m, size_t *ret_block, struct err *err)
{
	size_t k = fullest(m);
	int rc = close_block(m, k, err);

	if (rc == OK)
		rc = new_number(m, &m->open[k].number, err);
	if (rc != OK)
		return rc;
	m->is_open[k] = true;
	m->rooms[k] = EROFS_BLOCK;
	memset(m->open[k].bytes, 0, EROFS_BLOCK);
	*ret_block = k;
	return OK;
}

/* ---- what is put ----------------------------------------------------------------- */

static void copy_parts(uint8_t *to, const struct bytes *parts, size_t n_parts)
{
	for (size_t i = 0; i < n_parts; i++) {
		if (parts[i].len)
			memcpy(to, parts[i].data, parts[i].len);
		to += parts[i].len;
	}
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
	size_t size = 0, k, used;
	int rc = OK;

	assert(erofs_output_end(m->output) % EROFS_BLOCK == 0);
	for (size_t i = 0; i < n_parts; i++)
		size += parts[i].len;
	if (size > EROFS_BLOCK)
		return put_alone(m, parts, n_parts, ret_place, err);
	k = best_fit(m, size);
	if (k == EROFS_META_OPEN)
		rc = open_block(m, &k, err);
	if (rc != OK)
		return rc;
	used = EROFS_BLOCK - m->rooms[k];
	*ret_place = (struct erofs_place){ m->open[k].number, (uint8_t)(used / EROFS_SLOT) };
	copy_parts(m->open[k].bytes + used, parts, n_parts);
	m->rooms[k] = (uint16_t)(m->rooms[k] - size - -size % EROFS_SLOT);
	return OK;
}

int erofs_meta_flush(struct erofs_meta *m, struct err *err)
{
	int rc = OK;

	for (size_t k = 0; rc == OK && k < EROFS_META_OPEN; k++)
		rc = close_block(m, k, err);
	if (rc == OK)
		rc = append_run(m, err);
	return rc == OK ? erofs_output_only_metadata(m->output, err) : rc;
}

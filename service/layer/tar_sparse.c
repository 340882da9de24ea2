#include "service/layer/tar_sparse.h"

enum {
	AT_PIECES = 386,
	AT_PIECES_MORE = 482,
	HEADER_PIECES = 4,
	BLOCK_PIECES = 21,
	NUMBER_FIELD = 12,
	PIECES_MIN = 64,
};

static const char no_memory[] = "sparse file whose map takes too much memory";
static const char bad_map[] = "sparse file with a bad map";

void tar_sparse_init(struct tar_sparse *s)
{
	*s = (struct tar_sparse){ .text = BUF_INIT(TAR_SPARSE_TEXT) };
}

void tar_sparse_free(struct tar_sparse *s)
{
	free(s->pieces);
	buf_free(&s->text);
}

static bool grow(struct tar_sparse *s)
{
	size_t room = s->room ? s->room * 2 : PIECES_MIN;
	struct tar_piece *pieces = reallocarray(s->pieces, room, sizeof *pieces);

	if (!pieces)
		return false;
	s->pieces = pieces;
	s->room = room;
	return true;
}

static const char *add_piece(struct tar_sparse *s, int64_t offset, int64_t len)
{
	if (s->n == TAR_SPARSE_PIECES)
		return "sparse file with too many pieces";
	if (s->n == s->room && !grow(s))
		return no_memory;
	s->pieces[s->n++] = (struct tar_piece){ (uint64_t)offset, (uint64_t)len };
	return NULL;
}

/* ---- old GNU ------------------------------------------------------------------ */

/* The map ends with an empty field. */
static const char *take_fields(struct tar_sparse *s, const uint8_t *field, size_t n)
{
	for (; n && *field; n--, field += 2 * (size_t)NUMBER_FIELD) {
		int64_t offset, len;
		const char *wrong;

		if (!tar_number_read(field, NUMBER_FIELD, &offset) || offset < 0 ||
		    !tar_number_read(field + NUMBER_FIELD, NUMBER_FIELD, &len) || len < 0)
			return bad_map;
		wrong = add_piece(s, offset, len);
		if (wrong)
			return wrong;
	}
	return NULL;
}

/* ---- PAX 0.0 and 0.1 ---------------------------------------------------------- */

/* Up to the end or the next `border`, which is taken too. */
static struct bytes take_until(struct bytes *rest, uint8_t border)
{
	const uint8_t *end = memchr(rest->data, border, rest->len);
	size_t len = end ? (size_t)(end - rest->data) : rest->len, taken = len + (end != NULL);
	struct bytes part = { rest->data, len };

	rest->data += taken;
	rest->len -= taken;
	return part;
}

static const char *take_pair(struct tar_sparse *s, struct bytes *rest, uint8_t border)
{
	int64_t offset, len;

	if (!tar_pax_decimal(take_until(rest, border), &offset) || !rest->len ||
	    !tar_pax_decimal(take_until(rest, border), &len))
		return bad_map;
	return add_piece(s, offset, len);
}

static const char *take_list(struct tar_sparse *s, struct bytes map)
{
	const char *wrong = NULL;

	s->n = 0; /* a second one counts instead of the first */
	if (map.len && map.data[map.len - 1] == ',')
		return bad_map;
	while (!wrong && map.len)
		wrong = take_pair(s, &map, ',');
	return wrong;
}

/* 0.0: an offset and the length that follows it. */
static const char *take_half(struct tar_sparse *s, const struct tar_pax_record *r, int64_t *offset)
{
	int64_t value, begin = *offset;

	if (tar_text_is(r->key, "GNU.sparse.offset"))
		return tar_pax_decimal(r->value, offset) ? NULL : bad_map;
	if (begin < 0 || !tar_pax_decimal(r->value, &value))
		return bad_map;
	*offset = -1;
	return add_piece(s, begin, value);
}

static const char *take_records(struct tar_sparse *s, struct bytes records)
{
	struct tar_pax_record r;
	const char *wrong = NULL;
	int64_t offset = -1;

	while (!wrong && records.len && tar_pax_next(&records, &r)) {
		if (tar_text_is(r.key, "GNU.sparse.map"))
			wrong = take_list(s, r.value);
		else if (tar_text_is(r.key, "GNU.sparse.offset") || tar_text_is(r.key, "GNU.sparse.numbytes"))
			wrong = take_half(s, &r, &offset);
	}
	return wrong ?: offset >= 0 ? bad_map : NULL;
}

/* ---- PAX 1.0 ------------------------------------------------------------------ */

static size_t count_lines(const uint8_t *block)
{
	size_t n = 0;

	for (size_t i = 0; i < TAR_BLOCK; i++)
		n += block[i] == '\n';
	return n;
}

/* The number of pieces, then offset and length of each, a line for each number. */
static const char *take_text(struct tar_sparse *s, const uint8_t *block)
{
	struct bytes rest;
	const char *wrong = NULL;
	int64_t n;

	if (!buf_append(&s->text, block, TAR_BLOCK))
		return no_memory;
	s->map_bytes += TAR_BLOCK;
	s->lines += count_lines(block);
	if (!s->lines)
		return s->text.len > TAR_BLOCK ? bad_map : NULL;
	rest = buf_bytes(&s->text);
	if (!tar_pax_decimal(take_until(&rest, '\n'), &n) || n > TAR_SPARSE_PIECES)
		return bad_map;
	s->wants_block = s->lines < 1 + 2 * (size_t)n;
	while (!wrong && !s->wants_block && n--)
		wrong = take_pair(s, &rest, '\n');
	return wrong;
}

/* ---- all ---------------------------------------------------------------------- */

static bool is_version_1(struct bytes records)
{
	bool is = false;
	struct tar_pax_record r;

	while (records.len && tar_pax_next(&records, &r))
		if (tar_text_is(r.key, "GNU.sparse.major"))
			is = tar_text_is(r.value, "1");
	return is;
}

static const char *begin_old(struct tar_sparse *s, const uint8_t *block)
{
	s->form = TAR_SPARSE_OLD;
	s->wants_block = block[AT_PIECES_MORE] != 0;
	return take_fields(s, block + AT_PIECES, HEADER_PIECES);
}

const char *tar_sparse_begin(struct tar_sparse *s, const struct tar_entry *entry, const uint8_t block[TAR_BLOCK],
			     struct bytes pax)
{
	s->form = TAR_SPARSE_NONE;
	s->n = s->lines = 0;
	s->map_bytes = 0;
	s->wants_block = false;
	buf_reset(&s->text);
	if (entry->header.type == TAR_GNU_SPARSE)
		return begin_old(s, block);
	if (entry->pax.real_size < 0)
		return NULL;
	if (!is_version_1(pax)) {
		s->form = TAR_SPARSE_RECORDS;
		return take_records(s, pax);
	}
	s->form = TAR_SPARSE_IN_DATA;
	s->wants_block = true;
	return NULL;
}

const char *tar_sparse_take_block(struct tar_sparse *s, const uint8_t block[TAR_BLOCK])
{
	if (s->form == TAR_SPARSE_IN_DATA)
		return take_text(s, block);
	s->wants_block = tar_sparse_goes_on(block);
	return take_fields(s, block, BLOCK_PIECES);
}

const char *tar_sparse_check(const struct tar_sparse *s, uint64_t size, uint64_t stored)
{
	uint64_t end = 0, sum = 0;

	for (size_t i = 0; i < s->n; i++) {
		const struct tar_piece *p = &s->pieces[i];

		if (p->offset < end || p->offset > size || p->len > size - p->offset)
			return bad_map;
		end = p->offset + p->len;
		sum += p->len; /* <= size: they are apart */
	}
	return sum == stored ? NULL : "sparse file whose map does not fit its data";
}

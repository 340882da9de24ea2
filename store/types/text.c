#include "store/types/text.h"

#include <strings.h>

#include "proto/runtime/utf8.h"

/* ---- characters ------------------------------------------------------------- */

size_t rune_at(struct bytes b, uint32_t *ret_rune)
{
	size_t n = utf8_rune(b, ret_rune);

	if (n)
		return n;
	*ret_rune = RUNE_BAD + b.data[0];
	return 1;
}

void rune_put(struct buf *out, uint32_t rune)
{
	if (rune >= RUNE_BAD) {
		buf_putc(out, (char)(rune - RUNE_BAD));
	} else if (rune < 0x80) {
		buf_putc(out, (char)rune);
	} else {
		int more = rune < 0x800 ? 1 : rune < 0x10000 ? 2 : 3;
		static const uint8_t lead[] = { 0, 0xc0, 0xe0, 0xf0 };

		buf_putc(out, (char)(lead[more] | rune >> 6 * more));
		while (more-- > 0)
			buf_putc(out, (char)(0x80 | (rune >> 6 * more & 0x3f)));
	}
}

bool rune_is_space(uint32_t r)
{
	return r == ' ' || (r >= '\t' && r <= '\r') || r == 0x85 || r == 0xa0 || r == 0x1680 ||
	       (r >= 0x2000 && r <= 0x200a) || r == 0x2028 || r == 0x2029 || r == 0x202f || r == 0x205f || r == 0x3000;
}

/* Blocks without letters, beyond ASCII; sorted. */
static const struct range {
	uint32_t first, last;
} no_letters[] = {
	{ 0x80, 0xa9 },	    { 0xab, 0xb4 },	  { 0xb6, 0xb9 },	{ 0xbb, 0xbf },	       { 0xd7, 0xd7 },
	{ 0xf7, 0xf7 },	    { 0x300, 0x36f },	  { 0x2000, 0x2070 },	{ 0x2072, 0x207e },    { 0x2080, 0x208f },
	{ 0x20a0, 0x20ff }, { 0x2190, 0x2bff },	  { 0x2e00, 0x2e7f },	{ 0x2ff0, 0x3004 },    { 0x3007, 0x3030 },
	{ 0xd800, 0xf8ff }, { 0xfe00, 0xfe6f },	  { 0xff00, 0xff20 },	{ 0xff3b, 0xff40 },    { 0xff5b, 0xff65 },
	{ 0xffe0, 0xffff }, { 0x1d000, 0x1d3ff }, { 0x1f000, 0x1faff }, { 0xe0000, 0x10ffff },
};

bool rune_is_letter(uint32_t r)
{
	if (r < 0x80)
		return (r | 0x20) >= 'a' && (r | 0x20) <= 'z';
	if (r >= RUNE_BAD)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(no_letters); i++)
		if (r >= no_letters[i].first && r <= no_letters[i].last)
			return false;
	return true;
}

bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* ---- comparisons ------------------------------------------------------------ */

bool bytes_eq(struct bytes a, struct bytes b)
{
	return a.len == b.len && (!a.len || !memcmp(a.data, b.data, a.len));
}

bool bytes_are(struct bytes b, const char *text)
{
	return bytes_eq(b, bytes_of(text));
}

bool bytes_are_nocase(struct bytes b, const char *text)
{
	return b.len == strlen(text) && (!b.len || !strncasecmp((const char *)b.data, text, b.len));
}

bool bytes_begin(struct bytes b, const char *prefix)
{
	size_t len = strlen(prefix);

	return b.len >= len && (!len || !memcmp(b.data, prefix, len));
}

size_t bytes_find(struct bytes b, char c)
{
	const uint8_t *found = b.len ? memchr(b.data, c, b.len) : NULL;

	return found ? (size_t)(found - b.data) : b.len;
}

/* ---- trimming --------------------------------------------------------------- */

struct bytes bytes_trim_left(struct bytes b)
{
	uint32_t rune;

	while (b.len) {
		size_t n = rune_at(b, &rune);

		if (!rune_is_space(rune))
			break;
		b = bytes_from(b, n);
	}
	return b;
}

/* Where the last character begins. */
static size_t last_rune(struct bytes b, uint32_t *ret_rune)
{
	for (size_t n = 1; n <= 4 && n <= b.len; n++)
		if (utf8_rune(bytes_from(b, b.len - n), ret_rune) == n)
			return b.len - n;
	*ret_rune = RUNE_BAD;
	return b.len - 1;
}

struct bytes bytes_trim_right(struct bytes b)
{
	uint32_t rune;

	while (b.len) {
		size_t at = last_rune(b, &rune);

		if (!rune_is_space(rune))
			break;
		b.len = at;
	}
	return b;
}

struct bytes bytes_trim(struct bytes b)
{
	return bytes_trim_right(bytes_trim_left(b));
}

bool bytes_take_line(struct bytes *rest, struct bytes *ret_line)
{
	size_t len = bytes_find(*rest, '\n');

	if (!rest->len)
		return false;
	len += len < rest->len;
	*ret_line = bytes_first(*rest, len);
	*rest = bytes_from(*rest, len);
	return true;
}

/* ---- memory ----------------------------------------------------------------- */

int arena_verdict(const struct arena *a, int r, struct err *err)
{
	/* What did not fit any more may have been large. */
	if (r != E_NO_MEMORY || a->used < a->cap / 4 * 3)
		return r;
	return fail(err, E_LIMIT,
		    "the Dockerfile needs more than %zu bytes of memory: too many words, variables or steps", a->cap);
}

/* ---- lists ------------------------------------------------------------------ */

int arena_grow(struct arena *a, void *items, size_t n, size_t *capacity, size_t size, struct err *err)
{
	size_t more = *capacity ? 2 * *capacity : 8;
	void *old, *grown;

	if (n < *capacity)
		return OK;
	grown = arena_array(a, more, size);
	if (!grown)
		return fail_nomem(err);
	memcpy(&old, items, sizeof old);
	if (n)
		memcpy(grown, old, n * size);
	memcpy(items, &grown, sizeof grown);
	*capacity = more;
	return OK;
}

int word_add(struct word_list *l, struct bytes word, struct arena *a, struct err *err)
{
	if (l->n >= WORDS_MAX)
		return fail(err, E_LIMIT, "an instruction has at most %d words", WORDS_MAX);
	if (arena_grow(a, &l->items, l->n, &l->capacity, sizeof *l->items, err) < 0)
		return E_NO_MEMORY;
	l->items[l->n++] = word;
	return OK;
}

#include "service/build/shell_pattern.h"

#include "store/types/text.h"

/* Beside characters a pattern holds these. */
enum { ANY_TEXT = RUNE_BAD + 0x1000, ANY_RUNE };

struct runes {
	uint32_t *items;
	size_t n;
};

static void runes_free(struct runes *r)
{
	free(r->items);
}

/* ---- reading ---------------------------------------------------------------- */

static int make_room(const char *text, struct runes *out, struct err *err)
{
	size_t len = strlen(text);

	if (len > PATTERN_TEXT_MAX)
		return fail(err, E_LIMIT, "a value of more than %d bytes is too long for a pattern", PATTERN_TEXT_MAX);
	out->items = calloc(len + 1, sizeof *out->items);
	return out->items ? OK : fail_nomem(err);
}

static int read_text(const char *text, struct runes *out, struct err *err)
{
	struct bytes rest = bytes_of(text);
	int r = make_room(text, out, err);

	while (r == OK && rest.len)
		rest = bytes_from(rest, rune_at(rest, &out->items[out->n++]));
	return r;
}

/* The character behind a backslash. */
static int read_escaped(const char *pattern, struct bytes *rest, uint32_t *ret_rune, struct err *err)
{
	char c = rest->len ? (char)rest->data[0] : 0;

	if (!c || !strchr("*?\\/}", c))
		return fail(err, E_INVALID, "invalid pattern (%.256s) in substitution: invalid escape '\\%.*s'",
			    pattern, (int)(rest->len ? rune_at(*rest, ret_rune) : 0), (const char *)rest->data);
	*ret_rune = (uint8_t)c;
	*rest = bytes_from(*rest, 1);
	return OK;
}

static int read_pattern(const char *pattern, struct runes *out, struct err *err)
{
	struct bytes rest = bytes_of(pattern);
	int r = make_room(pattern, out, err);

	while (r == OK && rest.len) {
		uint32_t rune;

		rest = bytes_from(rest, rune_at(rest, &rune));
		if (rune == '\\')
			r = read_escaped(pattern, &rest, &rune, err);
		else if (rune == '*' || rune == '?')
			rune = rune == '*' ? ANY_TEXT : ANY_RUNE;
		out->items[out->n++] = rune;
	}
	return r;
}

/* ---- matching --------------------------------------------------------------- */

struct match {
	struct runes pattern, text;
	bool longest;
	uint64_t *steps; /* at 0 nothing matches any more */
};

/* A part of the pattern without ANY_TEXT, at one place. */
static bool piece_fits(const struct match *m, size_t from, size_t to, size_t at)
{
	if (to - from > m->text.n - at)
		return false;
	for (size_t i = 0; i < to - from; i++) {
		uint32_t wanted = m->pattern.items[from + i], is = m->text.items[at + i];

		if (!*m->steps)
			return false;
		--*m->steps;
		if (wanted == ANY_RUNE ? is == '\n' : wanted != is)
			return false;
	}
	return true;
}

static size_t piece_end(const struct match *m, size_t from)
{
	while (from < m->pattern.n && m->pattern.items[from] != ANY_TEXT)
		from++;
	return from;
}

/* Where the part fits at or behind `at`, on one line: the first place, or the last. */
static bool find_piece(const struct match *m, size_t from, size_t to, bool last, size_t *at)
{
	bool found = false;

	for (size_t i = *at; i <= m->text.n; i++) {
		if (piece_fits(m, from, to, i)) {
			*at = i;
			found = true;
			if (!last)
				return true;
		}
		if (!*m->steps || i == m->text.n || m->text.items[i] == '\n')
			break;
	}
	return found;
}

/* Whether the pattern matches a text that begins at `at`; *ret_end is behind it. Each
 * part at its first place leaves the most room for the next ones, so that only the last
 * part decides how long the match is. */
static bool match_at(const struct match *m, size_t at, size_t *ret_end)
{
	size_t from = 0, to = piece_end(m, 0);

	if (!piece_fits(m, from, to, at))
		return false;
	at += to - from;
	while (to < m->pattern.n) {
		from = to + 1;
		to = piece_end(m, from);
		if (!find_piece(m, from, to, m->longest && to == m->pattern.n, &at))
			return false;
		at += to - from;
	}
	*ret_end = at;
	return true;
}

static int spent(const struct match *m, struct err *err)
{
	return *m->steps ? OK : fail(err, E_LIMIT, "the patterns of the variables take too long to match");
}

/* ---- cutting ---------------------------------------------------------------- */

static void put(struct buf *out, const struct runes *text, size_t from, size_t to)
{
	for (; from < to; from++)
		rune_put(out, text->items[from]);
}

static void reverse(struct runes *r)
{
	for (size_t i = 0; i < r->n / 2; i++) {
		uint32_t other = r->items[r->n - 1 - i];

		r->items[r->n - 1 - i] = r->items[i];
		r->items[i] = other;
	}
}

static int cut(const char *pattern, const char *value, bool longest, bool suffix, uint64_t *steps, struct buf *out,
	       struct err *err)
{
	CLEANUP(runes_free) struct runes p = { .n = 0 }, text = { .n = 0 };
	size_t end = 0;
	struct match m;
	int r = read_pattern(pattern, &p, err);

	if (r == OK)
		r = read_text(value, &text, err);
	if (r != OK)
		return r;
	if (suffix) {
		reverse(&p);
		reverse(&text);
	}
	m = (struct match){ p, text, longest, steps };
	if (!match_at(&m, 0, &end))
		end = 0;
	if (suffix)
		reverse(&text);
	put(out, &text, suffix ? 0 : end, suffix ? text.n - end : text.n);
	return spent(&m, err);
}

int pattern_cut_prefix(const char *pattern, const char *value, bool longest, uint64_t *steps, struct buf *out,
		       struct err *err)
{
	return cut(pattern, value, longest, false, steps, out, err);
}

int pattern_cut_suffix(const char *pattern, const char *value, bool longest, uint64_t *steps, struct buf *out,
		       struct err *err)
{
	return cut(pattern, value, longest, true, steps, out, err);
}

/* ---- replacing -------------------------------------------------------------- */

static bool find_match(const struct match *m, size_t *at, size_t *ret_end)
{
	for (; *at <= m->text.n; ++*at)
		if (match_at(m, *at, ret_end))
			return true;
		else if (!*m->steps)
			break;
	return false;
}

/* As Go's regexp does it: nothing stands in for an empty match right behind another one. */
static void replace_matches(const struct match *m, const char *replacement, bool all, struct buf *out)
{
	size_t at = 0, done = 0, end = 0;

	while (find_match(m, &at, &end)) {
		put(out, &m->text, done, at);
		if (end > done || !at)
			buf_puts(out, replacement);
		done = end;
		at = end > at ? end : at + 1;
		if (!all || !buf_ok(out))
			break;
	}
	put(out, &m->text, done, m->text.n);
}

int pattern_replace(const char *pattern, const char *replacement, const char *value, bool all, uint64_t *steps,
		    struct buf *out, struct err *err)
{
	CLEANUP(runes_free) struct runes p = { .n = 0 }, text = { .n = 0 };
	struct match m;
	int r = read_pattern(pattern, &p, err);

	if (r == OK)
		r = read_text(value, &text, err);
	if (r != OK)
		return r;
	m = (struct match){ p, text, true, steps };
	replace_matches(&m, replacement, all, out);
	return spent(&m, err);
}

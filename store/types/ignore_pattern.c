#include "store/types/ignore_pattern.h"

struct ignore_token {
	enum {
		TOKEN_RUNE,
		TOKEN_ANY,   /* a character but '/' */
		TOKEN_STAR,  /* any number of those */
		TOKEN_DEPTH, /* a text that ends with '/', or nothing */
		TOKEN_REST,  /* any text */
		TOKEN_CLASS,
	} kind;
	uint32_t rune;
	struct bytes ranges; /* of TOKEN_CLASS: what stands between the brackets */
	bool negated;
};

/* ---- syntax ------------------------------------------------------------------- */

static int wrong(struct err *err)
{
	return fail(err, E_INVALID, "syntax error in pattern");
}

/* One character of a class; there must be something behind it. */
static bool take_class_rune(struct bytes *rest, uint32_t *ret_rune)
{
	if (!rest->len || rest->data[0] == '-' || rest->data[0] == ']')
		return false;
	if (rest->data[0] == '\\')
		*rest = bytes_from(*rest, 1);
	if (!rest->len)
		return false;
	*rest = bytes_from(*rest, rune_at(*rest, ret_rune));
	return rest->len;
}

static bool take_range(struct bytes *rest, uint32_t *ret_low, uint32_t *ret_high)
{
	if (!take_class_rune(rest, ret_low))
		return false;
	*ret_high = *ret_low;
	if (rest->data[0] != '-')
		return true;
	*rest = bytes_from(*rest, 1);
	return take_class_rune(rest, ret_high);
}

/* Behind "[". */
static int take_class(struct bytes *rest, struct ignore_token *t, struct err *err)
{
	uint32_t low, high;

	t->kind = TOKEN_CLASS;
	t->negated = bytes_begin(*rest, "^");
	*rest = bytes_from(*rest, t->negated);
	t->ranges = *rest;
	do {
		if (!take_range(rest, &low, &high) || low > high)
			return wrong(err);
	} while (rest->data[0] != ']');
	t->ranges.len = (size_t)(rest->data - t->ranges.data);
	*rest = bytes_from(*rest, 1);
	return OK;
}

/* Behind "*". */
static void take_star(struct bytes *rest, bool plain, struct ignore_token *t)
{
	t->kind = TOKEN_STAR;
	if (plain || !bytes_begin(*rest, "*"))
		return;
	*rest = bytes_from(*rest, 1);
	*rest = bytes_from(*rest, bytes_begin(*rest, "/"));
	t->kind = rest->len ? TOKEN_DEPTH : TOKEN_REST;
}

static int take_token(struct bytes *rest, bool plain_stars, struct ignore_token *t, struct err *err)
{
	*rest = bytes_from(*rest, rune_at(*rest, &t->rune));
	if (t->rune == '[')
		return take_class(rest, t, err);
	if (t->rune == '*')
		take_star(rest, plain_stars, t);
	else if (t->rune == '?')
		t->kind = TOKEN_ANY;
	else if (t->rune == '\\' && !rest->len)
		return wrong(err);
	else if (t->rune == '\\')
		*rest = bytes_from(*rest, rune_at(*rest, &t->rune));
	return OK;
}

static bool is_plain(const struct ignore_pattern *p, size_t from, size_t to)
{
	for (; from < to; from++)
		if (p->tokens[from].kind != TOKEN_RUNE)
			return false;
	return !memchr(p->text.data, '\\', p->text.len);
}

/* What most patterns are needs no tokens. */
static void choose_kind(struct ignore_pattern *p)
{
	size_t n = p->n_tokens;

	p->kind = IGNORE_GLOB;
	if (!n || is_plain(p, 0, n))
		p->kind = IGNORE_EXACT;
	else if (p->tokens[n - 1].kind == TOKEN_REST && n > 1 && is_plain(p, 0, n - 1) &&
		 bytes_find(p->text, '*') + 2 == p->text.len)
		p->kind = IGNORE_PREFIX;
	else if (!p->plain_stars && bytes_begin(p->text, "**") && is_plain(p, 1, n))
		p->kind = IGNORE_SUFFIX;
}

/* The longest run of plain characters. */
static int set_needle(struct ignore_pattern *p, struct arena *a, struct err *err)
{
	CLEANUP(buf_free) struct buf needle = BUF_INIT(4 * (size_t)IGNORE_PATTERN_MAX + 1);
	size_t from = 0, len = 0;

	for (size_t i = 0, run = 0; i < p->n_tokens; i++) {
		run = p->tokens[i].kind == TOKEN_RUNE ? run + 1 : 0;
		if (run > len) {
			len = run;
			from = i + 1 - run;
		}
	}
	for (size_t i = from; i < from + len; i++)
		rune_put(&needle, p->tokens[i].rune);
	p->needle = buf_bytes(&needle);
	p->needle.data = buf_ok(&needle) ? (const uint8_t *)arena_bytes(a, p->needle) : NULL;
	return p->needle.data ? OK : fail_nomem(err);
}

int ignore_pattern_compile(struct ignore_pattern *p, struct arena *a, struct err *err)
{
	struct bytes rest = p->text;
	int r = OK;

	p->tokens = arena_array(a, rest.len, sizeof *p->tokens);
	if (!p->tokens)
		return fail_nomem(err);
	while (r == OK && rest.len)
		r = take_token(&rest, p->plain_stars, &p->tokens[p->n_tokens++], err);
	if (r != OK)
		return r;
	choose_kind(p);
	return p->kind == IGNORE_GLOB ? set_needle(p, a, err) : OK;
}

/* ---- matching ------------------------------------------------------------------- */

/* Where in the pattern the path can be at: before a token, or within a TOKEN_DEPTH. */
struct states {
	bool before[IGNORE_PATTERN_MAX + 1];
	bool within[IGNORE_PATTERN_MAX];
};

static bool class_has(const struct ignore_token *t, uint32_t rune)
{
	struct bytes rest = { t->ranges.data, t->ranges.len + 1 }; /* with the "]" */
	uint32_t low, high;

	while (rest.data[0] != ']' && take_range(&rest, &low, &high))
		if (rune >= low && rune <= high)
			return !t->negated;
	return t->negated;
}

/* Some tokens match nothing, too. */
static void enter(const struct ignore_pattern *p, struct states *s, size_t at)
{
	while (!s->before[at]) {
		s->before[at] = true;
		if (at == p->n_tokens || (p->tokens[at].kind != TOKEN_STAR && p->tokens[at].kind != TOKEN_REST &&
					  p->tokens[at].kind != TOKEN_DEPTH))
			break;
		at++;
	}
}

static void step_depth(const struct ignore_pattern *p, struct states *next, size_t at, uint32_t rune)
{
	if (rune == '\n')
		return;
	next->within[at] = true;
	if (rune == '/')
		enter(p, next, at + 1);
}

static void step(const struct ignore_pattern *p, struct states *next, size_t at, uint32_t rune)
{
	const struct ignore_token *t = &p->tokens[at];

	switch (t->kind) {
	case TOKEN_RUNE:
		if (t->rune == rune)
			enter(p, next, at + 1);
		break;
	case TOKEN_ANY:
		if (rune != '/')
			enter(p, next, at + 1);
		break;
	case TOKEN_CLASS:
		if (class_has(t, rune))
			enter(p, next, at + 1);
		break;
	case TOKEN_STAR:
		if (rune != '/')
			enter(p, next, at);
		break;
	case TOKEN_REST:
		if (rune != '\n')
			enter(p, next, at);
		break;
	case TOKEN_DEPTH:
		step_depth(p, next, at, rune);
		break;
	}
}

static void clear(struct states *s, size_t n)
{
	memset(s->before, 0, n + 1);
	memset(s->within, 0, n);
}

static bool glob_matches(const struct ignore_pattern *p, struct bytes path)
{
	struct states both[2], *now = &both[0], *next = &both[1];

	if (p->needle.len && !memmem(path.data, path.len, p->needle.data, p->needle.len))
		return false; /* as most are */
	clear(now, p->n_tokens);
	enter(p, now, 0);
	while (path.len) {
		struct states *old = now;
		uint32_t rune;

		path = bytes_from(path, rune_at(path, &rune));
		clear(next, p->n_tokens);
		for (size_t i = 0; i < p->n_tokens; i++) {
			if (now->before[i])
				step(p, next, i, rune);
			if (now->within[i])
				step_depth(p, next, i, rune);
		}
		now = next;
		next = old;
	}
	return now->before[p->n_tokens];
}

static bool ends_with(struct bytes path, struct bytes end)
{
	return path.len >= end.len && bytes_eq(bytes_from(path, path.len - end.len), end);
}

bool ignore_pattern_matches(const struct ignore_pattern *p, struct bytes path)
{
	struct bytes end;

	switch (p->kind) {
	case IGNORE_EXACT:
		return bytes_eq(path, p->text);
	case IGNORE_PREFIX:
		return path.len >= p->text.len - 2 &&
		       bytes_eq(bytes_first(path, p->text.len - 2), bytes_first(p->text, p->text.len - 2));
	case IGNORE_SUFFIX:
		end = bytes_from(p->text, 2);
		return ends_with(path, end) || (bytes_begin(end, "/") && bytes_eq(path, bytes_from(end, 1)));
	default:
		return glob_matches(p, path);
	}
}

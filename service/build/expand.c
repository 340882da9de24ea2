#include "service/build/expand.h"

/* Reads on from `p`; the functions below leave it behind what they have read. */
struct lexer {
	const char *p;
	char escape;
	const struct variables *variables;
	unsigned depth; /* of ${} within ${} */
	struct err *err;
};

static int wrong(struct lexer *l, const char *why)
{
	return fail(l->err, E_INVALID, "%s", why);
}

/* ---- names ------------------------------------------------------------------ */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name(char c)
{
	return is_digit(c) || c == '_' || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c & 0x80);
}

/* A number, one of the shell's parameters, or letters; empty when it is none. */
static struct bytes take_name(struct lexer *l)
{
	const char *begin = l->p;

	if (is_digit(*l->p)) {
		while (is_digit(*l->p))
			l->p++;
	} else if (*l->p && strchr("@*#?-$!", *l->p)) {
		l->p++;
	} else {
		while (is_name(*l->p))
			l->p++;
	}
	return (struct bytes){ (const uint8_t *)begin, (size_t)(l->p - begin) };
}

static const char *value_of(const struct lexer *l, struct bytes name)
{
	return l->variables->get(l->variables->arg, name);
}

/* ---- ${…} ------------------------------------------------------------------- */

static int up_to(struct lexer *l, char stop, struct buf *out, struct buf *words);

/* What stands behind the modifier, to the closing brace. */
static int take_operand(struct lexer *l, struct buf *out)
{
	int r;

	if (++l->depth > EXPAND_DEPTH_MAX)
		return fail(l->err, E_INVALID, "syntax error: more than %d substitutions in each other",
			    EXPAND_DEPTH_MAX);
	r = up_to(l, '}', out, NULL);
	l->depth--;
	return r;
}

static int refuse_unset(struct lexer *l, struct bytes name, bool is_set, const struct buf *message)
{
	const char *fallback = is_set ? "is not allowed to be empty" : "is not allowed to be unset";

	return fail(l->err, E_INVALID, "%.*s: %s", (int)(name.len < 256 ? name.len : 256), (const char *)name.data,
		    message->len ? buf_text(message) : fallback);
}

static int take_modified(struct lexer *l, struct bytes name, struct buf *out)
{
	CLEANUP(buf_free) struct buf operand = BUF_INIT(EXPANDED_MAX);
	bool colon = *l->p == ':';
	char modifier = l->p[colon];
	const char *value = value_of(l, name);
	bool has_value = value && (!colon || *value);
	int r;

	if (!modifier)
		return wrong(l, "syntax error: missing '}'");
	if (!strchr("-+?", modifier))
		return fail(l->err, E_INVALID, "unsupported modifier (%.*s) in substitution", colon + 1, l->p);
	l->p += colon + 1;
	r = take_operand(l, &operand);
	if (r != OK)
		return r;
	if (modifier == '?' && !has_value)
		return refuse_unset(l, name, value != NULL, &operand);
	if (modifier == '+' ? has_value : !has_value)
		buf_append(out, buf_text(&operand), operand.len);
	else if (modifier != '+')
		buf_puts(out, value);
	return OK;
}

/* Asked for once: to ask costs, and the answer may be another one then (apply.c). */
static void put_value(struct lexer *l, struct bytes name, struct buf *out)
{
	const char *value = value_of(l, name);

	if (value)
		buf_puts(out, value);
}

static int take_braced(struct lexer *l, struct buf *out)
{
	struct bytes name;

	if (!*++l->p)
		return wrong(l, "syntax error: missing '}'");
	if (strchr("{}:", *l->p))
		return wrong(l, "syntax error: bad substitution");
	name = take_name(l);
	if (*l->p != '}')
		return take_modified(l, name, out);
	l->p++;
	put_value(l, name, out);
	return OK;
}

static int take_dollar(struct lexer *l, struct buf *out)
{
	struct bytes name;

	if (*++l->p == '{')
		return take_braced(l, out);
	name = take_name(l);
	if (!name.len)
		buf_putc(out, '$');
	else
		put_value(l, name, out);
	return OK;
}

/* ---- quotes ----------------------------------------------------------------- */

static int take_single_quotes(struct lexer *l, struct buf *out)
{
	const char *end = strchr(l->p + 1, '\'');

	if (!end)
		return wrong(l, "unexpected end of statement while looking for matching single-quote");
	buf_append(out, l->p + 1, (size_t)(end - l->p - 1));
	l->p = end + 1;
	return OK;
}

static int take_double_quotes(struct lexer *l, struct buf *out)
{
	int r = OK;

	l->p++;
	while (r == OK && *l->p && *l->p != '"') {
		if (*l->p == '$') {
			r = take_dollar(l, out);
			continue;
		}
		if (*l->p == l->escape && (l->p[1] == '"' || l->p[1] == '$' || l->p[1] == l->escape))
			l->p++;
		else if (*l->p == l->escape && !l->p[1])
			break; /* there is no end either */
		buf_putc(out, *l->p++);
	}
	if (r != OK)
		return r;
	if (*l->p != '"')
		return wrong(l, "unexpected end of statement while looking for matching double-quote");
	l->p++;
	return OK;
}

/* ---- words ------------------------------------------------------------------ */

/* Into `words`, in which a NUL ends each word; `parts`: whether blanks do that. */
static void collect(struct buf *words, const uint8_t *data, size_t len, bool parts)
{
	for (size_t i = 0; words && i < len; i++) {
		if (!parts || !is_blank((char)data[i]))
			buf_putc(words, (char)data[i]);
		else if (words->len && words->data[words->len - 1])
			buf_putc(words, 0);
	}
}

static int take_escaped(struct lexer *l, struct buf *out)
{
	if (!*++l->p)
		return OK; /* at the end it is dropped */
	buf_putc(out, *l->p++);
	return OK;
}

static int take_plain(struct lexer *l, struct buf *out)
{
	buf_putc(out, *l->p++);
	return OK;
}

static int take_next(struct lexer *l, struct buf *out, bool *ret_parts)
{
	*ret_parts = *l->p == '$';
	if (*l->p == '$')
		return take_dollar(l, out);
	if (*l->p == '\'')
		return take_single_quotes(l, out);
	if (*l->p == '"')
		return take_double_quotes(l, out);
	if (*l->p == l->escape)
		return take_escaped(l, out);
	*ret_parts = true;
	return take_plain(l, out);
}

/* To `stop`, which is read, or with 0 to the end. `words` may be NULL. */
static int up_to(struct lexer *l, char stop, struct buf *out, struct buf *words)
{
	while (*l->p && (!stop || *l->p != stop)) {
		size_t before = out->len;
		bool parts = false;
		int r = take_next(l, out, &parts);

		if (r == OK && !buf_ok(out))
			r = fail(l->err, E_LIMIT, "the value is longer than %d bytes, or memory is short",
				 EXPANDED_MAX);
		if (r != OK)
			return r;
		if (out->len > before)
			collect(words, out->data + before, out->len - before, parts);
	}
	if (!stop)
		return OK;
	if (!*l->p)
		return wrong(l, "syntax error: missing '}'");
	l->p++;
	return OK;
}

/* ---- both ways -------------------------------------------------------------- */

/* `"` and `\` in the word are escaped, as Go's %q does. */
static int explain(const char *word, struct err *err)
{
	enum { SHOWN_MAX = 256 };
	CLEANUP(buf_free) struct buf shown = BUF_INIT(2 * SHOWN_MAX);

	for (size_t i = 0; i < SHOWN_MAX && word[i]; i++) {
		if (word[i] == '"' || word[i] == '\\')
			buf_putc(&shown, '\\');
		buf_putc(&shown, word[i] == '\n' ? ' ' : word[i]);
	}
	return err_wrap(err, "failed to process \"%s\"", buf_text(&shown));
}

static int run(const char *word, char escape, const struct variables *v, struct buf *out, struct buf *words,
	       struct err *err)
{
	struct err ignored = ERR_INIT;
	struct lexer l = { .p = word, .escape = escape, .variables = v, .err = err ? err : &ignored };
	int r = up_to(&l, 0, out, words);

	return r == OK ? OK : explain(word, l.err);
}

int expand(const char *word, char escape, const struct variables *v, struct buf *out, struct err *err)
{
	return run(word, escape, v, out, NULL, err);
}

int expand_words(const char *word, char escape, const struct variables *v, struct arena *a,
		 struct string_list *ret_words, struct err *err)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(EXPANDED_MAX), words = BUF_INIT(EXPANDED_MAX + 1);
	struct string_list list = { .n = 0 };

	int r = run(word, escape, v, &value, &words, err);

	if (r != OK)
		return r;
	if (words.len && words.data[words.len - 1])
		buf_putc(&words, 0);
	list.items = arena_array(a, words.len / 2 + 1, sizeof *list.items);
	if (!buf_ok(&words) || !list.items)
		return fail_nomem(err);
	for (const char *w = buf_text(&words); w < buf_text(&words) + words.len; w += strlen(w) + 1) {
		list.items[list.n] = arena_string(a, w);
		if (!list.items[list.n++])
			return fail_nomem(err);
	}
	*ret_words = list;
	return OK;
}

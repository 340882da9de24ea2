#include "service/build/expand.h"

#include "service/build/quote.h"
#include "service/build/shell_pattern.h"

/* Reads on from `p`; the functions below leave it behind what they have read. */
struct lexer {
	const char *p;
	const struct expand_rules *rules;
	const struct variables *variables;
	bool keep_escapes; /* by the rules, or within a pattern */
	unsigned depth;	   /* of ${} within ${} */
	uint64_t *steps;
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

/* The length of the letter, digit or _ here; 0 when it is another character. */
static size_t name_rune(const char *p)
{
	uint32_t rune;
	size_t n;

	if (is_digit(*p) || *p == '_')
		return 1;
	if (!*p)
		return 0;
	n = rune_at((struct bytes){ (const uint8_t *)p, strnlen(p, 4) }, &rune);
	return rune_is_letter(rune) ? n : 0;
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
		for (size_t n; (n = name_rune(l->p)) > 0;)
			l->p += n;
	}
	return (struct bytes){ (const uint8_t *)begin, (size_t)(l->p - begin) };
}

static const char *value_of(const struct lexer *l, struct bytes name)
{
	return l->variables->get(l->variables->arg, name);
}

static void put_name(struct buf *out, struct bytes name)
{
	buf_append(out, name.data, name.len);
}

/* ---- ${…} ------------------------------------------------------------------- */

static int up_to(struct lexer *l, char stop, struct buf *out, struct buf *words);

/* What stands behind the modifier, to `stop`. */
static int take_operand(struct lexer *l, char stop, bool keep_escapes, struct buf *out)
{
	bool before = l->keep_escapes;
	int r;

	if (++l->depth > EXPAND_DEPTH_MAX)
		return fail(l->err, E_INVALID, "syntax error: more than %d substitutions in each other",
			    EXPAND_DEPTH_MAX);
	l->keep_escapes = keep_escapes;
	r = up_to(l, stop, out, NULL);
	l->keep_escapes = before;
	l->depth--;
	if (r == E_INVALID && !*l->p)
		return wrong(l, stop == '/' ? "syntax error: missing '/' in ${}" : "syntax error: missing '}'");
	return r;
}

static int refuse_unset(struct lexer *l, struct bytes name, bool is_set, const struct buf *message)
{
	const char *fallback = is_set ? "is not allowed to be empty" : "is not allowed to be unset";

	return fail(l->err, E_INVALID, "%.*s: %s", (int)(name.len < 256 ? name.len : 256), (const char *)name.data,
		    message->len ? buf_text(message) : fallback);
}

/* What ${name MODIFIER operand} stands for; `value` is NULL when it is unset. */
struct substitution {
	struct bytes name;
	struct bytes modifier; /* "-", ":-", "#" */
	const char *value;
	const struct buf *operand;
};

static int choose(struct lexer *l, const struct substitution *s, struct buf *out)
{
	bool colon = s->modifier.len > 1;
	char kind = (char)s->modifier.data[colon];
	bool has_value = s->value && (!colon || *s->value);

	if (kind == '?' && !has_value)
		return refuse_unset(l, s->name, s->value != NULL, s->operand);
	if (kind == '+' ? has_value : !has_value)
		buf_append(out, buf_text(s->operand), s->operand->len);
	else if (kind != '+')
		buf_puts(out, s->value);
	return OK;
}

static int cut(struct lexer *l, const struct substitution *s, struct buf *out)
{
	char kind = (char)s->modifier.data[0];
	const char *pattern = buf_text(s->operand), *value = s->value ? s->value : "";
	bool longest = *pattern == kind;

	pattern += longest;
	return kind == '%' ? pattern_cut_suffix(pattern, value, longest, l->steps, out, l->err)
			   : pattern_cut_prefix(pattern, value, longest, l->steps, out, l->err);
}

static int unsupported(struct lexer *l, struct bytes modifier)
{
	return fail(l->err, E_INVALID, "unsupported modifier (%.*s) in substitution", (int)modifier.len,
		    (const char *)modifier.data);
}

/* The modifier, whole characters; empty when the word ends. */
static struct bytes take_modifier(struct lexer *l)
{
	const char *begin = l->p;
	uint32_t ignored;

	l->p += *l->p == ':';
	if (*l->p)
		l->p += rune_at((struct bytes){ (const uint8_t *)l->p, strnlen(l->p, 4) }, &ignored);
	return (struct bytes){ (const uint8_t *)begin, (size_t)(l->p - begin) };
}

static int take_modified(struct lexer *l, struct bytes name, struct buf *out)
{
	CLEANUP(buf_free) struct buf operand = BUF_INIT(EXPANDED_MAX);
	struct bytes modifier = take_modifier(l);
	bool colon = modifier.len > 1 && modifier.data[0] == ':';
	bool pattern = memchr("#%", modifier.len ? modifier.data[modifier.len - 1] : 0, 2) != NULL;
	struct substitution s = { .name = name, .modifier = modifier, .operand = &operand };
	int r;

	if (!modifier.len || bytes_are(modifier, ":"))
		return wrong(l, "syntax error: missing '}'");
	if ((colon && pattern) || !memchr("-+?#%", modifier.data[colon], 5))
		return unsupported(l, modifier);
	r = take_operand(l, '}', pattern, &operand);
	if (r != OK)
		return r;
	s.value = value_of(l, name);
	if (!s.value && l->rules->keep_unset) {
		buf_puts(out, "${");
		put_name(out, name);
		put_name(out, modifier);
		buf_append(out, buf_text(&operand), operand.len);
		buf_putc(out, '}');
		return OK;
	}
	return pattern ? cut(l, &s, out) : choose(l, &s, out);
}

static int take_replaced(struct lexer *l, struct bytes name, struct buf *out)
{
	CLEANUP(buf_free) struct buf pattern = BUF_INIT(EXPANDED_MAX), replacement = BUF_INIT(EXPANDED_MAX);
	bool all = *++l->p == '/';
	const char *value;
	int r;

	l->p += all;
	r = take_operand(l, '/', true, &pattern);
	if (r == OK)
		r = take_operand(l, '}', true, &replacement);
	if (r != OK)
		return r;
	value = value_of(l, name);
	if (!value && l->rules->keep_unset) {
		buf_puts(out, "${");
		put_name(out, name);
		buf_printf(out, "/%s/%s}", buf_text(&pattern), buf_text(&replacement));
		return OK;
	}
	return pattern_replace(buf_text(&pattern), buf_text(&replacement), value ? value : "", all, l->steps, out,
			       l->err);
}

/* A variable by its name alone. Asked for once: to ask costs, and the answer may be
 * another one then (apply.c). */
static void put_value(struct lexer *l, struct bytes name, bool braces, struct buf *out)
{
	const char *value = value_of(l, name);

	if (value) {
		buf_puts(out, value);
	} else if (l->rules->keep_unset) {
		buf_puts(out, braces ? "${" : "$");
		put_name(out, name);
		buf_puts(out, braces ? "}" : "");
	}
}

static int take_braced(struct lexer *l, struct buf *out)
{
	struct bytes name;

	if (!*++l->p)
		return wrong(l, "syntax error: missing '}'");
	if (strchr("{}:", *l->p))
		return wrong(l, "syntax error: bad substitution");
	name = take_name(l);
	if (*l->p == '/')
		return take_replaced(l, name, out);
	if (*l->p != '}')
		return take_modified(l, name, out);
	l->p++;
	put_value(l, name, true, out);
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
		put_value(l, name, false, out);
	return OK;
}

/* ---- quotes ----------------------------------------------------------------- */

static int take_single_quotes(struct lexer *l, struct buf *out)
{
	const char *end = strchr(l->p + 1, '\'');
	bool keep = l->rules->keep_quotes;

	if (!end) {
		l->p += strlen(l->p);
		return wrong(l, "unexpected end of statement while looking for matching single-quote");
	}
	buf_append(out, l->p + !keep, (size_t)(end - l->p) - !keep + keep);
	l->p = end + 1;
	return OK;
}

/* Within double quotes an escape is one only before a few. */
static void take_quoted(struct lexer *l, struct buf *out)
{
	char escape = l->rules->escape;

	if (*l->p != escape) {
		buf_putc(out, *l->p++);
		return;
	}
	if (l->keep_escapes)
		buf_putc(out, escape);
	if (l->p[1] == '"' || l->p[1] == '$' || l->p[1] == escape)
		l->p++;
	else if (!l->p[1])
		escape = 0; /* there is no end of the quotes either */
	if (escape)
		buf_putc(out, *l->p);
	l->p++;
}

static int take_double_quotes(struct lexer *l, struct buf *out)
{
	int r = OK;

	if (l->rules->keep_quotes)
		buf_putc(out, '"');
	l->p++;
	while (r == OK && *l->p && *l->p != '"') {
		if (*l->p == '$')
			r = take_dollar(l, out);
		else
			take_quoted(l, out);
	}
	if (r != OK)
		return r;
	if (*l->p != '"')
		return wrong(l, "unexpected end of statement while looking for matching double-quote");
	if (l->rules->keep_quotes)
		buf_putc(out, '"');
	l->p++;
	return OK;
}

/* ---- words ------------------------------------------------------------------ */

/* Into `words`, in which a NUL ends each word; `parts`: whether blanks do that. */
static void collect(struct buf *words, struct bytes text, bool parts)
{
	while (words && text.len) {
		uint32_t rune;
		size_t n = rune_at(text, &rune);

		if (!parts || !rune_is_space(rune))
			buf_append(words, text.data, n);
		else if (words->len && words->data[words->len - 1])
			buf_putc(words, 0);
		text = bytes_from(text, n);
	}
}

static int take_escaped(struct lexer *l, struct buf *out)
{
	if (l->keep_escapes)
		buf_putc(out, *l->p);
	if (*++l->p)
		buf_putc(out, *l->p++);
	return OK;
}

/* Blanks between << or <<- and the word belong to that word. */
static int take_heredoc_mark(struct lexer *l, struct buf *out)
{
	size_t len = l->p[1] == '<' ? 2 : 1, blanks;

	if (len == 2) {
		blanks = strspn(l->p + 2 + (l->p[2] == '-'), "\t\r ");
		len += blanks ? blanks + (l->p[2] == '-') : 0;
	}
	buf_append(out, l->p, len);
	l->p += len;
	return OK;
}

/* One whole character, so that it is told whether it is a blank. */
static int take_plain(struct lexer *l, struct buf *out)
{
	uint32_t rune;
	size_t n = rune_at((struct bytes){ (const uint8_t *)l->p, strnlen(l->p, 4) }, &rune);

	buf_append(out, l->p, n);
	l->p += n;
	return OK;
}

static int take_next(struct lexer *l, struct buf *out, bool *ret_parts)
{
	*ret_parts = *l->p == '$';
	if (*l->p == '$')
		return take_dollar(l, out);
	if (*l->p == '<')
		return take_heredoc_mark(l, out);
	if (*l->p == '\'' && !l->rules->no_quotes)
		return take_single_quotes(l, out);
	if (*l->p == '"' && !l->rules->no_quotes)
		return take_double_quotes(l, out);
	if (*l->p == l->rules->escape)
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
			collect(words, (struct bytes){ out->data + before, out->len - before }, parts);
	}
	if (!stop)
		return OK;
	if (!*l->p)
		return fail(l->err, E_INVALID, "unexpected end of statement while looking for matching %c", stop);
	l->p++;
	return OK;
}

/* ---- both ways -------------------------------------------------------------- */

static int run(const char *word, const struct expand_rules *rules, const struct variables *v, struct buf *out,
	       struct buf *words, struct err *err)
{
	uint64_t steps = PATTERN_STEPS_MAX;
	struct err ignored = ERR_INIT;
	struct lexer l = {
		.p = word,
		.rules = rules,
		.variables = v,
		.keep_escapes = rules->keep_escapes,
		.steps = v->steps ? v->steps : &steps,
		.err = err ? err : &ignored,
	};
	struct quoted quoted;
	int r = up_to(&l, 0, out, words);

	return r == OK ? OK : err_wrap(l.err, "failed to process %s", quote_short(word, &quoted));
}

int expand(const char *word, const struct expand_rules *rules, const struct variables *v, struct buf *out,
	   struct err *err)
{
	return run(word, rules, v, out, NULL, err);
}

int expand_words(const char *word, const struct expand_rules *rules, const struct variables *v, struct arena *a,
		 struct string_list *ret_words, struct err *err)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(EXPANDED_MAX), words = BUF_INIT(EXPANDED_MAX + 1);
	struct string_list list = { .n = 0 };

	int r = run(word, rules, v, &value, &words, err);

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

#include "service/build/tree.h"

#include "service/build/lines.h"
#include "service/build/quote.h"
#include "service/build/words.h"

struct reading {
	char escape;
	struct arena *arena;
	struct err *err;
};

/* ---- the argument, by instruction ------------------------------------------- */

static int add(const struct reading *g, struct node *n, struct bytes word)
{
	return word_add(&n->words, word, g->arena, g->err);
}

static int parse_nothing(UNUSED const struct reading *g, UNUSED struct bytes text, UNUSED struct node *n)
{
	return OK;
}

static int parse_text(const struct reading *g, struct bytes text, struct node *n)
{
	return text.len ? add(g, n, text) : OK;
}

static int parse_words(const struct reading *g, struct bytes text, struct node *n)
{
	return words_between_blanks(text, g->arena, &n->words, g->err);
}

static int parse_shell_words(const struct reading *g, struct bytes text, struct node *n)
{
	return words_of_shell(text, g->escape, g->arena, &n->words, g->err);
}

static int parse_json(const struct reading *g, struct bytes text, struct node *n)
{
	int r = words_of_json(text, g->arena, &n->words, g->err);

	n->json = r > 0;
	return r;
}

static int parse_json_or_text(const struct reading *g, struct bytes text, struct node *n)
{
	int r = parse_json(g, text, n);

	return r ? r : parse_text(g, text, n);
}

static int parse_json_or_words(const struct reading *g, struct bytes text, struct node *n)
{
	int r = parse_json(g, text, n);

	return r ? r : parse_words(g, text, n);
}

static int add_pair(const struct reading *g, struct node *n, struct bytes name, struct bytes value, const char *sign)
{
	if (add(g, n, name) < 0 || add(g, n, value) < 0 || add(g, n, bytes_of(sign)) < 0)
		return g->err->code;
	return OK;
}

/* "name value": all behind the first blanks. */
static int parse_old_pair(const struct reading *g, struct bytes text, struct node *n, const char *keyword)
{
	size_t len = words_before_blank(text);
	struct bytes value = bytes_from(text, len);

	if (!value.len)
		return fail(g->err, E_INVALID, "%s must have two arguments", keyword);
	return add_pair(g, n, bytes_first(text, len), bytes_from(value, words_blanks(value)), "");
}

static int no_equals(const struct reading *g, struct bytes word)
{
	char *text = arena_bytes(g->arena, word);
	struct quoted quoted;

	if (!text)
		return fail_nomem(g->err);
	return fail(g->err, E_INVALID, "Syntax error - can't find = in %s. Must be of the form: name=value",
		    quote_short(text, &quoted));
}

static int parse_pairs(const struct reading *g, struct bytes text, struct node *n, const char *keyword)
{
	struct word_list words;
	int r = words_of_shell(text, g->escape, g->arena, &words, g->err);

	if (r != OK || !words.n)
		return r;
	if (bytes_find(words.items[0], '=') == words.items[0].len)
		return parse_old_pair(g, text, n, keyword);
	for (size_t i = 0; r == OK && i < words.n; i++) {
		struct bytes word = words.items[i];
		size_t at = bytes_find(word, '=');

		r = at == word.len ? no_equals(g, word)
				   : add_pair(g, n, bytes_first(word, at), bytes_from(word, at + 1), "=");
	}
	return r;
}

static int parse_env(const struct reading *g, struct bytes text, struct node *n)
{
	return parse_pairs(g, text, n, "ENV");
}

static int parse_label(const struct reading *g, struct bytes text, struct node *n)
{
	return parse_pairs(g, text, n, "LABEL");
}

static int parse_health(const struct reading *g, struct bytes text, struct node *n)
{
	struct word_list kind = { .n = 0 };
	size_t len = 0;
	int r;

	while (len < text.len && !is_blank((char)text.data[len]))
		len++;
	if (!len)
		return OK;
	r = word_add(&kind, bytes_first(text, len), g->arena, g->err);
	if (r == OK)
		r = parse_json_or_text(g, bytes_trim_left(bytes_from(text, len)), n);
	for (size_t i = 0; r >= OK && i < n->words.n; i++)
		r = word_add(&kind, n->words.items[i], g->arena, g->err);
	n->words = kind;
	return r;
}

static int parse_line(const struct reading *g, struct bytes line, struct node *n, bool nested);

/* ONBUILD ONBUILD is refused for its second keyword, not read any further. */
static int parse_onbuild(const struct reading *g, struct bytes text, struct node *n)
{
	if (!text.len)
		return OK;
	n->child = arena_alloc(g->arena, sizeof *n->child);
	return n->child ? parse_line(g, text, n->child, true) : fail_nomem(g->err);
}

static const struct known {
	const char *keyword;
	int (*parse)(const struct reading *g, struct bytes text, struct node *n);
	bool heredocs;
} known[] = {
	{ "ADD", parse_json_or_words, true },
	{ "ARG", parse_shell_words, false },
	{ "CMD", parse_json_or_text, false },
	{ "COPY", parse_json_or_words, true },
	{ "ENTRYPOINT", parse_json_or_text, false },
	{ "ENV", parse_env, false },
	{ "EXPOSE", parse_words, false },
	{ "FROM", parse_words, false },
	{ "HEALTHCHECK", parse_health, false },
	{ "LABEL", parse_label, false },
	{ "MAINTAINER", parse_text, false },
	{ "ONBUILD", parse_onbuild, false },
	{ "RUN", parse_json_or_text, true },
	{ "SHELL", parse_json_or_text, false },
	{ "STOPSIGNAL", parse_text, false },
	{ "USER", parse_text, false },
	{ "VOLUME", parse_json_or_words, false },
	{ "WORKDIR", parse_text, false },
};

static const struct known *find_known(struct bytes keyword)
{
	static const struct known unknown = { "", parse_nothing, false };

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (bytes_are_nocase(keyword, known[i].keyword))
			return &known[i];
	return &unknown;
}

/* ---- one instruction -------------------------------------------------------- */

static int parse_line(const struct reading *g, struct bytes line, struct node *n, bool nested)
{
	struct bytes rest = bytes_trim(line);
	const struct known *k;
	int r;

	n->original = line;
	n->keyword = bytes_first(rest, words_before_blank(rest));
	rest = bytes_from(rest, n->keyword.len);
	rest = bytes_from(rest, words_blanks(rest));
	r = words_take_flags(&rest, g->escape, g->arena, &n->flags, g->err);
	if (r != OK)
		return r;
	k = find_known(n->keyword);
	if (nested && k->parse == parse_onbuild)
		return OK;
	r = k->parse(g, bytes_trim(rest), n);
	return r < 0 ? r : OK;
}

int node_parse(struct bytes line, char escape, struct arena *a, struct node *ret_node, struct err *err)
{
	struct err ignored = ERR_INIT;
	const struct reading g = { escape, a, err ? err : &ignored };
	struct node n = { .json = false };
	int r = parse_line(&g, line, &n, false);

	if (r == OK)
		*ret_node = n;
	return r;
}

/* ---- here-documents --------------------------------------------------------- */

static bool takes_heredocs(const struct node *n)
{
	if (n->child)
		n = n->child;
	return !n->json && find_known(n->keyword)->heredocs;
}

static int read_heredocs(struct lines *l, const struct line *line, struct arena *a, struct node *n, struct err *err)
{
	int r;

	if (!takes_heredocs(n) || !memmem(line->text.data, line->text.len, "<<", 2))
		return OK;
	r = heredocs_of_line(line->text, a, &n->heredocs, &n->n_heredocs, err);
	for (size_t i = 0; r == OK && i < n->n_heredocs; i++)
		r = heredoc_read(&n->heredocs[i], &l->rest, &l->number, err);
	return r;
}

/* ---- the file --------------------------------------------------------------- */

static int note_continuation(struct tree *t, const struct line *line, struct arena *a, struct err *err)
{
	int r = arena_grow(a, &t->empty_continuations, t->n_empty_continuations, &t->empty_continuations_capacity,
			   sizeof *t->empty_continuations, err);

	if (r == OK)
		t->empty_continuations[t->n_empty_continuations++] = (struct place){ line->last, line->last };
	return r;
}

static int add_node(struct lines *l, const struct line *line, struct arena *a, struct tree *t, struct err *err)
{
	struct node *n = &t->nodes[t->n];
	int r;

	if (line->empty_continuation && note_continuation(t, line, a, err) < 0)
		return E_NO_MEMORY;
	r = node_parse(line->text, l->escape, a, n, err);
	if (r == OK)
		r = read_heredocs(l, line, a, n, err);
	n->comments = line->comments;
	n->place = (struct place){ line->first, l->number };
	t->n += r == OK;
	return r;
}

/* A NUL ends strings further on, and is in no file that is meant to be one of these. */
static int check_text(struct bytes text, struct place *where, struct err *err)
{
	const uint8_t *nul = text.len ? memchr(text.data, 0, text.len) : NULL;

	if (text.len > DOCKERFILE_MAX)
		return fail(err, E_LIMIT, "the Dockerfile is larger than %d bytes", DOCKERFILE_MAX);
	if (!nul)
		return OK;
	where->first = 1;
	for (const uint8_t *p = text.data; p < nul; p++)
		where->first += *p == '\n';
	where->last = where->first;
	return fail(err, E_INVALID, "the Dockerfile holds a NUL byte: it is no text, or not UTF-8");
}

static int read_all(struct bytes text, struct arena *a, struct tree *t, struct place *where, struct err *err)
{
	struct lines l = lines_of(text);
	size_t capacity = 0;
	struct line line;
	int r;

	while ((r = lines_next(&l, a, &line, err)) > 0) {
		*where = (struct place){ line.first, line.last };
		if (t->n >= INSTRUCTIONS_MAX)
			return fail(err, E_LIMIT, "a Dockerfile has at most %d instructions", INSTRUCTIONS_MAX);
		r = arena_grow(a, &t->nodes, t->n, &capacity, sizeof *t->nodes, err);
		if (r == OK)
			r = add_node(&l, &line, a, t, err);
		where->last = l.number;
		if (r != OK)
			return r;
	}
	t->escape = l.escape;
	*where = (struct place){ l.number, l.number };
	return r;
}

int tree_parse(struct bytes text, struct arena *a, struct tree *ret_tree, struct place *ret_place, struct err *err)
{
	struct tree t = { .n = 0 };
	int r;

	*ret_place = (struct place){ .first = 0 };
	r = check_text(text, ret_place, err);
	if (r == OK)
		r = read_all(text, a, &t, ret_place, err);
	if (r == OK && !t.n)
		r = fail(err, E_INVALID, "file with no instructions");
	if (r == OK)
		*ret_tree = t;
	return r;
}

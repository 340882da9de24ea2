#include "service/build/instruction.h"

#include "service/build/suggest.h"

/* ---- what most have in common ----------------------------------------------- */

int arguments_one(const struct arguments *g, struct err *err)
{
	if (g->node->words.n == 1)
		return OK;
	return fail(err, E_INVALID, "%s requires exactly one argument", g->keyword);
}

static int needs_some(const struct arguments *g, struct err *err)
{
	if (g->node->words.n)
		return OK;
	return fail(err, E_INVALID, "%s requires at least one argument", g->keyword);
}

int arguments_no_flags(const struct arguments *g, struct err *err)
{
	return flags_parse(&g->node->flags, NULL, 0, NULL, g->arena, err);
}

int arguments_text(const struct arguments *g, struct bytes word, const char **ret_text, struct err *err)
{
	char *text;

	if (word.len && memchr(word.data, 0, word.len))
		return fail(err, E_INVALID, "%s: an argument cannot hold a NUL", g->keyword);
	text = arena_bytes(g->arena, word);
	if (!text)
		return fail_nomem(err);
	*ret_text = text;
	return OK;
}

int arguments_words(const struct arguments *g, size_t from, size_t end, struct string_list *ret_words, struct err *err)
{
	const struct word_list *words = &g->node->words;
	struct string_list list = { .present = true };

	list.items = arena_array(g->arena, words->n + 1, sizeof *list.items);
	if (!list.items)
		return fail_nomem(err);
	for (size_t i = from; i + end < words->n; i++) {
		const char *text;
		int r = arguments_text(g, words->items[i], &text, err);

		if (r != OK)
			return r;
		list.items[list.n++] = (char *)text;
	}
	*ret_words = list;
	return OK;
}

int arguments_description(const struct arguments *g, const char *name, const char **ret_text, struct err *err)
{
	size_t len = strlen(name);

	*ret_text = "";
	for (size_t i = 0; len && i < g->node->comments.n; i++) {
		struct bytes comment = g->node->comments.items[i];

		if (bytes_begin(comment, name) && comment.len > len && comment.data[len] == ' ')
			return arguments_text(g, bytes_from(comment, len + 1), ret_text, err);
	}
	return OK;
}

/* ---- the parsers ------------------------------------------------------------ */

static int parse_command(const struct arguments *g, struct err *err)
{
	int r = arguments_no_flags(g, err);

	g->to->for_shell = !g->node->json;
	return r == OK ? arguments_words(g, 0, 0, &g->to->words, err) : r;
}

static int parse_text(const struct arguments *g, struct err *err)
{
	int r = arguments_one(g, err);

	if (r == OK)
		r = arguments_text(g, g->node->words.items[0], &g->to->text, err);
	return r == OK ? arguments_no_flags(g, err) : r;
}

static int parse_words(const struct arguments *g, struct err *err)
{
	int r = needs_some(g, err);

	if (r == OK)
		r = arguments_no_flags(g, err);
	return r == OK ? arguments_words(g, 0, 0, &g->to->words, err) : r;
}

static int parse_volume(const struct arguments *g, struct err *err)
{
	int r = needs_some(g, err);

	if (r == OK)
		r = arguments_no_flags(g, err);
	for (size_t i = 0; r == OK && i < g->node->words.n; i++)
		if (!bytes_trim(g->node->words.items[i]).len)
			return fail(err, E_INVALID, "VOLUME specified can not be an empty string");
	return r == OK ? arguments_words(g, 0, 0, &g->to->words, err) : r;
}

static int parse_shell(const struct arguments *g, struct err *err)
{
	int r = arguments_no_flags(g, err);

	if (r == OK)
		r = needs_some(g, err);
	if (r == OK && !g->node->json)
		return fail(err, E_INVALID, "SHELL requires the arguments to be in JSON form");
	return r == OK ? arguments_words(g, 0, 0, &g->to->words, err) : r;
}

/* ---- pairs ------------------------------------------------------------------ */

static int make_pairs(const struct arguments *g, size_t n, struct err *err)
{
	g->to->pairs = arena_array(g->arena, n, sizeof *g->to->pairs);
	return g->to->pairs ? OK : fail_nomem(err);
}

static int no_name(const struct arguments *g, struct err *err)
{
	return fail(err, E_INVALID, "%s names can not be blank", g->keyword);
}

/* Three words for each. */
static int parse_pairs(const struct arguments *g, struct err *err)
{
	const struct word_list *words = &g->node->words;
	int r = arguments_no_flags(g, err);

	if (r == OK)
		r = needs_some(g, err);
	if (r == OK)
		r = make_pairs(g, words->n / 3, err);
	for (size_t i = 0; r == OK && i + 2 < words->n; i += 3) {
		struct pair *pair = &g->to->pairs[g->to->n_pairs++];

		if (!words->items[i].len)
			return no_name(g, err);
		pair->description = "";
		pair->old_form = !words->items[i + 2].len;
		r = arguments_text(g, words->items[i], &pair->key, err);
		if (r == OK)
			r = arguments_text(g, words->items[i + 1], &pair->value, err);
	}
	return r;
}

static int parse_arg_word(const struct arguments *g, struct bytes word, struct pair *pair, struct err *err)
{
	size_t at = bytes_find(word, '=');
	int r;

	if (!at && word.len)
		return no_name(g, err);
	r = arguments_text(g, bytes_first(word, at), &pair->key, err);
	if (r == OK && at < word.len)
		r = arguments_text(g, bytes_from(word, at + 1), &pair->value, err);
	return r == OK ? arguments_description(g, pair->key, &pair->description, err) : r;
}

static int parse_arg(const struct arguments *g, struct err *err)
{
	const struct word_list *words = &g->node->words;
	int r = needs_some(g, err);

	if (r == OK)
		r = arguments_no_flags(g, err);
	if (r == OK)
		r = make_pairs(g, words->n, err);
	for (size_t i = 0; r == OK && i < words->n; i++)
		r = parse_arg_word(g, words->items[i], &g->to->pairs[g->to->n_pairs++], err);
	return r;
}

/* ---- the table -------------------------------------------------------------- */

static const struct known {
	const char *keyword;
	int (*parse)(const struct arguments *g, struct err *err);
	bool change;
} known[] = {
	[INSTRUCTION_ADD] = { "ADD", copy_parse, false },
	[INSTRUCTION_ARG] = { "ARG", parse_arg, false },
	[INSTRUCTION_CMD] = { "CMD", parse_command, true },
	[INSTRUCTION_COPY] = { "COPY", copy_parse, false },
	[INSTRUCTION_ENTRYPOINT] = { "ENTRYPOINT", parse_command, true },
	[INSTRUCTION_ENV] = { "ENV", parse_pairs, true },
	[INSTRUCTION_EXPOSE] = { "EXPOSE", parse_words, true },
	[INSTRUCTION_FROM] = { "FROM", from_parse, false },
	[INSTRUCTION_HEALTHCHECK] = { "HEALTHCHECK", health_parse, true },
	[INSTRUCTION_LABEL] = { "LABEL", parse_pairs, true },
	[INSTRUCTION_MAINTAINER] = { "MAINTAINER", parse_text, true },
	[INSTRUCTION_ONBUILD] = { "ONBUILD", onbuild_parse, true },
	[INSTRUCTION_RUN] = { "RUN", run_parse, false },
	[INSTRUCTION_SHELL] = { "SHELL", parse_shell, false },
	[INSTRUCTION_STOPSIGNAL] = { "STOPSIGNAL", parse_text, true },
	[INSTRUCTION_USER] = { "USER", parse_text, true },
	[INSTRUCTION_VOLUME] = { "VOLUME", parse_volume, true },
	[INSTRUCTION_WORKDIR] = { "WORKDIR", parse_text, true },
};

const char *instruction_name(enum instruction_kind kind)
{
	return known[kind].keyword;
}

bool instruction_is_change(enum instruction_kind kind)
{
	return known[kind].change;
}

bool instruction_find(struct bytes keyword, enum instruction_kind *ret_kind)
{
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (bytes_are_nocase(keyword, known[i].keyword)) {
			*ret_kind = (enum instruction_kind)i;
			return true;
		}
	return false;
}

static int unknown(struct bytes keyword, struct err *err)
{
	const char *names[ARRAY_LEN(known)];
	struct suggestion meant;

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		names[i] = known[i].keyword;
	return fail(err, E_INVALID, "unknown instruction: %.*s%s", (int)min_size(keyword.len, 64),
		    (const char *)keyword.data, suggest(keyword, names, ARRAY_LEN(names), true, &meant));
}

int instruction_of(const struct node *n, char escape, struct arena *a, struct instruction *ret_instruction,
		   struct err *err)
{
	struct instruction i = { .place = n->place, .node = n };
	struct arguments g = { .node = n, .arena = a, .to = &i, .escape = escape };
	int r;

	if (!instruction_find(n->keyword, &i.kind))
		return unknown(n->keyword, err);
	g.keyword = known[i.kind].keyword;
	r = arguments_text(&g, n->keyword, &i.keyword, err);
	if (r == OK)
		r = arguments_text(&g, bytes_trim(n->original), &i.code, err);
	if (r == OK)
		r = known[i.kind].parse(&g, err);
	if (r == OK)
		*ret_instruction = i;
	return r;
}

#include "service/build/instruction.h"

#include <strings.h>

/* ---- what most have in common ----------------------------------------------- */

static int needs_one(const struct arguments *g, struct err *err)
{
	return fail(err, E_INVALID, "%s requires exactly one argument", g->keyword);
}

static int needs_some(const struct arguments *g, struct err *err)
{
	return fail(err, E_INVALID, "%s requires at least one argument", g->keyword);
}

int arguments_no_flags(const struct arguments *g, struct err *err)
{
	const char *flag;

	if (!g->flags.n)
		return OK;
	flag = g->flags.items[0] + 2;
	return fail(err, E_INVALID, "unknown flag: --%.*s", (int)strcspn(flag, "="), flag);
}

int arguments_command(const struct arguments *g, const char *text, struct string_list *ret_words, bool *ret_for_shell,
		      struct err *err)
{
	int r = words_of_json(text, g->arena, ret_words, err);

	*ret_for_shell = r == 0;
	if (r != 0)
		return r < 0 ? r : OK;
	*ret_words = (struct string_list){ .n = 0 };
	if (!*text)
		return OK;
	ret_words->items = arena_array(g->arena, 1, sizeof *ret_words->items);
	if (!ret_words->items)
		return fail_nomem(err);
	ret_words->items[0] = arena_string(g->arena, text);
	ret_words->n = ret_words->items[0] != NULL;
	return ret_words->n ? OK : fail_nomem(err);
}

/* ---- the parsers ------------------------------------------------------------ */

static int parse_command(const struct arguments *g, struct instruction *i, struct err *err)
{
	int r = arguments_no_flags(g, err);

	return r == OK ? arguments_command(g, g->text, &i->words, &i->for_shell, err) : r;
}

static int parse_text(const struct arguments *g, struct instruction *i, struct err *err)
{
	if (!*g->text)
		return needs_one(g, err);
	i->text = g->text;
	return arguments_no_flags(g, err);
}

static int parse_words(const struct arguments *g, struct instruction *i, struct err *err)
{
	int r = words_between_blanks(g->text, g->arena, &i->words, err);

	if (r == OK && !i->words.n)
		return needs_some(g, err);
	return r == OK ? arguments_no_flags(g, err) : r;
}

static int parse_volume(const struct arguments *g, struct instruction *i, struct err *err)
{
	int r = words_of_json(g->text, g->arena, &i->words, err);

	if (r < 0)
		return r;
	if (r == 0)
		return parse_words(g, i, err);
	if (!i->words.n)
		return needs_some(g, err);
	for (size_t k = 0; k < i->words.n; k++)
		if (!i->words.items[k][strspn(i->words.items[k], " \t\n\v\f\r")])
			return fail(err, E_INVALID, "VOLUME specified can not be an empty string");
	return arguments_no_flags(g, err);
}

/* "name value": all behind the first blanks. */
static int parse_old_pair(const struct arguments *g, struct string_pair *pair, struct err *err)
{
	size_t name = strcspn(g->text, " \t\v\f\r");
	const char *value = g->text + name;

	if (!*value)
		return fail(err, E_INVALID, "%s must have two arguments", g->keyword);
	pair->key = arena_bytes(g->arena, (struct bytes){ (const uint8_t *)g->text, name });
	pair->value = arena_string(g->arena, value + strspn(value, " \t\v\f\r"));
	return pair->key && pair->value ? OK : fail_nomem(err);
}

static int parse_new_pair(const struct arguments *g, const char *word, struct string_pair *pair, struct err *err)
{
	const char *equals = strchr(word, '=');

	if (!equals)
		return fail(err, E_INVALID,
			    "Syntax error - can't find = in \"%.256s\". Must be of the form: name=value", word);
	if (equals == word)
		return fail(err, E_INVALID, "%s names can not be blank", g->keyword);
	pair->key = arena_bytes(g->arena, (struct bytes){ (const uint8_t *)word, (size_t)(equals - word) });
	pair->value = arena_string(g->arena, equals + 1);
	return pair->key && pair->value ? OK : fail_nomem(err);
}

static int parse_pairs(const struct arguments *g, struct instruction *i, struct err *err)
{
	struct string_list words;
	int r = words_of_shell(g->text, g->escape, g->arena, &words, err);

	if (r != OK)
		return r;
	if (!words.n)
		return needs_some(g, err);
	i->pairs = arena_array(g->arena, words.n, sizeof *i->pairs);
	if (!i->pairs)
		return fail_nomem(err);
	if (!strchr(words.items[0], '=')) {
		i->n_pairs = 1;
		r = parse_old_pair(g, &i->pairs[0], err);
	}
	for (; r == OK && i->n_pairs < words.n && strchr(words.items[0], '='); i->n_pairs++)
		r = parse_new_pair(g, words.items[i->n_pairs], &i->pairs[i->n_pairs], err);
	return r == OK ? arguments_no_flags(g, err) : r;
}

static int parse_health(const struct arguments *g, struct instruction *i, struct err *err)
{
	if (!*g->text)
		return needs_some(g, err);
	return healthcheck_parse(g, &i->health, err);
}

static bool keyword_is(struct bytes keyword, const char *name)
{
	return strlen(name) == keyword.len && !strncasecmp((const char *)keyword.data, name, keyword.len);
}

/* The text is kept as it is, for the image that is built upon this one; what can be
 * told to be wrong is told now. */
static int parse_onbuild(const struct arguments *g, struct instruction *i, struct err *err)
{
	struct bytes keyword = instruction_keyword(g->text);
	struct instruction ignored;

	if (!*g->text)
		return needs_some(g, err);
	if (keyword_is(keyword, "ONBUILD"))
		return fail(err, E_INVALID, "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
	if (keyword_is(keyword, "FROM") || keyword_is(keyword, "MAINTAINER"))
		return fail(err, E_INVALID, "%s isn't allowed as an ONBUILD trigger",
			    keyword_is(keyword, "FROM") ? "FROM" : "MAINTAINER");
	i->text = g->text;
	if (keyword_is(keyword, "ENV") || keyword_is(keyword, "LABEL"))
		return instruction_parse(g->text, g->escape, g->arena, &ignored, err);
	return arguments_no_flags(g, err);
}

/* ---- the table -------------------------------------------------------------- */

static const struct known {
	const char *keyword;
	int (*parse)(const struct arguments *g, struct instruction *i, struct err *err);
} known[] = {
	[INSTRUCTION_CMD] = { "CMD", parse_command },
	[INSTRUCTION_ENTRYPOINT] = { "ENTRYPOINT", parse_command },
	[INSTRUCTION_ENV] = { "ENV", parse_pairs },
	[INSTRUCTION_EXPOSE] = { "EXPOSE", parse_words },
	[INSTRUCTION_HEALTHCHECK] = { "HEALTHCHECK", parse_health },
	[INSTRUCTION_LABEL] = { "LABEL", parse_pairs },
	[INSTRUCTION_MAINTAINER] = { "MAINTAINER", parse_text },
	[INSTRUCTION_ONBUILD] = { "ONBUILD", parse_onbuild },
	[INSTRUCTION_STOPSIGNAL] = { "STOPSIGNAL", parse_text },
	[INSTRUCTION_USER] = { "USER", parse_text },
	[INSTRUCTION_VOLUME] = { "VOLUME", parse_volume },
	[INSTRUCTION_WORKDIR] = { "WORKDIR", parse_text },
};

struct bytes instruction_keyword(const char *line)
{
	size_t len = 0;

	while (is_blank(*line))
		line++;
	while (line[len] && !is_blank(line[len]))
		len++;
	return (struct bytes){ (const uint8_t *)line, len };
}

bool instruction_known(const char *line, enum instruction_kind *ret_kind)
{
	struct bytes keyword = instruction_keyword(line);

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (keyword_is(keyword, known[i].keyword)) {
			*ret_kind = (enum instruction_kind)i;
			return true;
		}
	return false;
}

/* Without blanks at its end; in the arena. */
static const char *trimmed(const char *text, struct arena *a)
{
	size_t len = strlen(text);

	while (len && is_blank(text[len - 1]))
		len--;
	return arena_bytes(a, (struct bytes){ (const uint8_t *)text, len });
}

int instruction_parse(const char *line, char escape, struct arena *a, struct instruction *ret_instruction,
		      struct err *err)
{
	struct bytes keyword = instruction_keyword(line);
	const char *text = (const char *)keyword.data + keyword.len;
	struct arguments g = { .escape = escape, .arena = a };
	struct instruction i = { .kind = INSTRUCTION_CMD };
	int r;

	if (!instruction_known(line, &i.kind))
		return fail(err, E_INVALID, "unknown instruction: %.*s", (int)(keyword.len < 64 ? keyword.len : 64),
			    (const char *)keyword.data);
	g.keyword = known[i.kind].keyword;
	r = words_take_flags(&text, a, &g.flags, err);
	if (r != OK)
		return r;
	g.text = trimmed(text, a);
	if (!g.text)
		return fail_nomem(err);
	r = known[i.kind].parse(&g, &i, err);
	if (r == OK)
		*ret_instruction = i;
	return r;
}

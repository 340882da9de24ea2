/* FROM, which begins a stage, and ONBUILD, which leaves an instruction to later ones. */
#include "service/build/instruction.h"
#include "service/build/quote.h"

static bool is_stage_name(const char *name)
{
	if (*name < 'a' || *name > 'z')
		return false;
	return !name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.")];
}

static int take_name(const struct arguments *g, struct bytes word, struct err *err)
{
	const char *written;
	struct quoted quoted;
	char *name;
	int r = arguments_text(g, word, &written, err);

	if (r != OK)
		return r;
	name = arena_string(g->arena, written);
	if (!name)
		return fail_nomem(err);
	for (char *c = name; *c; c++)
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c | 0x20) : *c;
	if (!is_stage_name(name))
		return fail(err, E_INVALID,
			    "invalid name for build stage: %s, name can't start with a number or contain symbols",
			    quote_short(written, &quoted));
	g->to->from.name = name;
	return OK;
}

int from_parse(const struct arguments *g, struct err *err)
{
	static const struct flag_spec platform[] = { { "platform", FLAG_TEXT } };
	const struct word_list *words = &g->node->words;
	struct flag_value v;
	int r = OK;

	g->to->from = (struct from_options){ .name = "", .platform = "", .description = "" };
	if (words->n == 3 && bytes_are_nocase(words->items[1], "as"))
		r = take_name(g, words->items[2], err);
	else if (words->n != 1)
		r = fail(err, E_INVALID, "FROM requires either one or three arguments");
	if (r == OK)
		r = flags_parse(&g->node->flags, platform, 1, &v, g->arena, err);
	if (r == OK)
		r = arguments_description(g, g->to->from.name, &g->to->from.description, err);
	if (r != OK)
		return r;
	g->to->from.platform = v.text;
	return arguments_text(g, words->items[0], &g->to->text, err);
}

static int check_trigger(struct bytes keyword, struct err *err)
{
	if (bytes_are_nocase(keyword, "ONBUILD"))
		return fail(err, E_INVALID, "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
	if (bytes_are_nocase(keyword, "FROM") || bytes_are_nocase(keyword, "MAINTAINER"))
		return fail(err, E_INVALID, "%s isn't allowed as an ONBUILD trigger",
			    bytes_are_nocase(keyword, "FROM") ? "FROM" : "MAINTAINER");
	return OK;
}

/* The text is kept as it is, for the image that is built upon this one; what can be told
 * to be wrong is told now. */
int onbuild_parse(const struct arguments *g, struct err *err)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(2 * DOCKERFILE_MAX);
	struct bytes line = g->node->original;
	int r;

	if (!g->node->child)
		return fail(err, E_INVALID, "ONBUILD requires at least one argument");
	r = arguments_no_flags(g, err);
	if (r == OK)
		r = check_trigger(g->node->child->keyword, err);
	if (r != OK)
		return r;
	line = bytes_trim_left(bytes_from(line, g->node->keyword.len));
	buf_append(&text, line.data, line.len);
	for (size_t i = 0; i < g->node->n_heredocs; i++) {
		const struct heredoc *doc = &g->node->heredocs[i];

		buf_putc(&text, '\n');
		buf_append(&text, doc->content.data, doc->content.len);
		buf_append(&text, doc->name.data, doc->name.len);
	}
	return buf_ok(&text) ? arguments_text(g, buf_bytes(&text), &g->to->text, err) : fail_nomem(err);
}

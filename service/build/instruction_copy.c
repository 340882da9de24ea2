/* ADD and COPY: flags, sources, which may be here-documents, and a destination. */
#include "service/build/instruction.h"

static int too_few(const struct arguments *g, struct err *err)
{
	return fail(
		err, E_INVALID,
		"%s requires at least two arguments, but only one was provided. Destination could not be determined",
		g->keyword);
}

/* ---- flags ------------------------------------------------------------------ */

static enum tristate tristate_of(const struct flag_value *v)
{
	return !v->given ? UNSET : v->on ? ON : OFF;
}

static int parse_add_flags(const struct arguments *g, struct copy_options *o, struct err *err)
{
	enum { CHECKSUM, CHMOD, CHOWN, EXCLUDE, KEEP_GIT_DIR, LINK, UNPACK, N };
	static const struct flag_spec specs[N] = {
		[CHECKSUM] = { "checksum", FLAG_TEXT },
		[CHMOD] = { "chmod", FLAG_TEXT },
		[CHOWN] = { "chown", FLAG_TEXT },
		[EXCLUDE] = { "exclude", FLAG_TEXTS },
		[KEEP_GIT_DIR] = { "keep-git-dir", FLAG_SWITCH },
		[LINK] = { "link", FLAG_SWITCH },
		[UNPACK] = { "unpack", FLAG_SWITCH },
	};
	struct flag_value v[N];
	int r = flags_parse(&g->node->flags, specs, N, v, g->arena, err);

	if (r != OK)
		return r;
	*o = (struct copy_options){
		.chown = v[CHOWN].text,
		.chmod = v[CHMOD].text,
		.from = "",
		.checksum = v[CHECKSUM].text,
		.link = v[LINK].on,
		.keep_git_dir = tristate_of(&v[KEEP_GIT_DIR]),
		.unpack = tristate_of(&v[UNPACK]),
		.excludes = v[EXCLUDE].texts,
	};
	return OK;
}

static int parse_copy_flags(const struct arguments *g, struct copy_options *o, struct err *err)
{
	enum { CHMOD, CHOWN, EXCLUDE, FROM, LINK, PARENTS, N };
	static const struct flag_spec specs[N] = {
		[CHMOD] = { "chmod", FLAG_TEXT },      [CHOWN] = { "chown", FLAG_TEXT },
		[EXCLUDE] = { "exclude", FLAG_TEXTS }, [FROM] = { "from", FLAG_TEXT },
		[LINK] = { "link", FLAG_SWITCH },      [PARENTS] = { "parents", FLAG_SWITCH },
	};
	struct flag_value v[N];
	int r = flags_parse(&g->node->flags, specs, N, v, g->arena, err);

	if (r != OK)
		return r;
	*o = (struct copy_options){
		.chown = v[CHOWN].text,
		.chmod = v[CHMOD].text,
		.from = v[FROM].text,
		.checksum = "",
		.link = v[LINK].on,
		.parents = v[PARENTS].on,
		.excludes = v[EXCLUDE].texts,
	};
	return OK;
}

/* ---- sources ---------------------------------------------------------------- */

/* The document that a word names; the last one of a name counts. */
static int set_file(const struct arguments *g, const struct heredoc *word, struct inline_file *file, struct err *err)
{
	struct heredoc found = *word;

	for (size_t i = 0; i < g->node->n_heredocs; i++)
		if (bytes_eq(g->node->heredocs[i].name, word->name))
			found.content = g->node->heredocs[i].content;
	file->expand = word->expand;
	file->chomp = word->chomp;
	if (arguments_text(g, word->name, &file->name, err) < 0)
		return err->code;
	return heredoc_content(&found, g->arena, &file->content, err);
}

static int add_source(const struct arguments *g, struct bytes word, struct err *err)
{
	struct instruction *to = g->to;
	struct heredoc doc;
	const char *text;
	int r;

	if (heredoc_parse(word, g->arena, &doc, NULL) > 0)
		return set_file(g, &doc, &to->files[to->n_files++], err);
	r = arguments_text(g, word, &text, err);
	if (r == OK)
		to->words.items[to->words.n++] = (char *)text;
	return r;
}

static int take_sources(const struct arguments *g, struct err *err)
{
	const struct word_list *words = &g->node->words;
	struct instruction *to = g->to;
	struct heredoc ignored;
	int r = OK;

	if (heredoc_parse(words->items[words->n - 1], g->arena, &ignored, NULL) > 0)
		return fail(err, E_INVALID, "%s cannot accept a heredoc as a destination", g->keyword);
	to->files = arena_array(g->arena, words->n, sizeof *to->files);
	to->words.items = arena_array(g->arena, words->n, sizeof *to->words.items);
	if (!to->files || !to->words.items)
		return fail_nomem(err);
	for (size_t i = 0; r == OK && i + 1 < words->n; i++)
		r = add_source(g, words->items[i], err);
	return r == OK ? arguments_text(g, words->items[words->n - 1], &to->text, err) : r;
}

int copy_parse(const struct arguments *g, struct err *err)
{
	int r;

	if (g->node->words.n < 2)
		return too_few(g, err);
	r = g->to->kind == INSTRUCTION_ADD ? parse_add_flags(g, &g->to->copy, err)
					   : parse_copy_flags(g, &g->to->copy, err);
	return r == OK ? take_sources(g, err) : r;
}

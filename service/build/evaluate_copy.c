/* COPY and ADD with their values. */
#include "service/build/evaluate.h"

#include "service/build/file_mode.h"
#include "service/build/path_glob.h"
#include "service/build/quote.h"
#include "store/types/path.h"

static bool is_url(const char *text)
{
	return !strncmp(text, "http://", 7) || !strncmp(text, "https://", 8);
}

/* ---- paths ---------------------------------------------------------------------- */

/* Absolute, cleaned, in the arena. */
static int clean_path(struct evaluating *g, const char *path, const char **ret_path)
{
	CLEANUP(buf_free) struct buf clean = BUF_INIT(2 * EXPANDED_MAX);

	if (!path_join("", path, &clean))
		return fail_nomem(g->err);
	*ret_path = arena_string(g->arena, buf_text(&clean));
	return *ret_path ? OK : fail_nomem(g->err);
}

/* A '/' or "/." at the end says that it is a directory. */
static int set_destination(struct evaluating *g, const char *wanted, struct copy_step *s)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(2 * EXPANDED_MAX);
	size_t len;

	if (!*wanted || !strcmp(wanted, "."))
		wanted = "./";
	len = strlen(wanted);
	if (stage_path(&g->values, wanted, &path, g->err) < 0)
		return g->err->code;
	if ((wanted[len - 1] == '/' || (len > 1 && !strcmp(wanted + len - 2, "/."))) && path.len > 1)
		buf_putc(&path, '/');
	s->destination = buf_ok(&path) ? arena_string(g->arena, buf_text(&path)) : NULL;
	return s->destination ? OK : fail_nomem(g->err);
}

/* --parents: what stands behind "/./" is kept, or all of it. */
static int split_parents(struct evaluating *g, const char *path, struct copy_source *source)
{
	const char *pivot = strstr(path, "/./");
	const char *kept = pivot ? pivot + 3 : path;
	char *parent = pivot ? arena_bytes(g->arena, (struct bytes){ (const uint8_t *)path, (size_t)(pivot - path) })
			     : arena_string(g->arena, "/");
	int r = parent ? clean_path(g, kept, &source->pattern) : fail_nomem(g->err);

	if (r != OK)
		return r;
	source->pattern += *source->pattern == '/';
	source->required = !path_has_wildcards(path);
	return clean_path(g, parent, &source->path);
}

/* ---- sources --------------------------------------------------------------------- */

static bool ignores_all(const struct ignore *ignore)
{
	for (size_t i = 0; i < ignore->n; i++) {
		struct bytes text = ignore->patterns[i].text;

		if (bytes_are(text, "*") || bytes_are(text, "**") || bytes_are(text, "**/*"))
			return true;
	}
	return false;
}

/* With exceptions it cannot be told from the names alone. */
static void warn_ignored(struct evaluating *g, const struct instruction *i, const char *path)
{
	CLEANUP(buf_free) struct buf clean = BUF_INIT(2 * EXPANDED_MAX);
	struct quoted quoted;
	struct bytes name;

	if (!g->ignore || g->ignore->exceptions || !path_clean(bytes_of(path), &clean))
		return;
	name = buf_bytes(&clean);
	if ((bytes_are(name, ".") || bytes_are(name, "/")) && !ignores_all(g->ignore))
		return;
	if (ignore_excludes(g->ignore, name))
		lint_warn(g->values.lint, &i->node->comments, LINT_COPY_IGNORED_FILE, i->place,
			  "Attempting to %s file %s that is excluded by .dockerignore",
			  i->kind == INSTRUCTION_ADD ? "Add" : "Copy", quote_short(buf_text(&clean), &quoted));
}

static int set_git(struct evaluating *g, const struct instruction *i, struct copy_step *s, struct copy_source *source)
{
	const struct git_ref *ref = &source->git;

	if (i->kind == INSTRUCTION_COPY)
		return fail(g->err, E_INVALID, "source can't be a git ref for COPY");
	if (s->keep_git_dir != UNSET && ref->keep_git_dir != UNSET && s->keep_git_dir != ref->keep_git_dir)
		return fail(g->err, E_INVALID, "inconsistent keep-git-dir configuration");
	if (*s->checksum && *ref->checksum && strcmp(s->checksum, ref->checksum) != 0) {
		struct quoted a, b;

		return fail(g->err, E_INVALID, "checksum mismatch %s != %s", quote_short(s->checksum, &a),
			    quote_short(ref->checksum, &b));
	}
	source->kind = SOURCE_GIT;
	source->path = "/";
	return OK;
}

/* The file is called as the last part of the URL's path. */
static int set_url(struct evaluating *g, const struct instruction *i, const char *url, struct copy_source *source)
{
	const char *rest = strstr(url, "://") + 3;
	size_t len = strcspn(rest, "?#"), slash;

	if (i->kind == INSTRUCTION_COPY)
		return fail(g->err, E_INVALID, "source can't be a URL for COPY");
	source->kind = SOURCE_URL;
	source->url = url;
	while (len && rest[len - 1] == '/')
		len--;
	for (slash = len; slash && rest[slash - 1] != '/';)
		slash--;
	source->path = slash && len > slash
			       ? arena_bytes(g->arena, (struct bytes){ (const uint8_t *)rest + slash, len - slash })
			       : "__unnamed__";
	return source->path ? OK : fail_nomem(g->err);
}

static int set_source(struct evaluating *g, const struct plan_command *c, struct copy_step *s, const char *text,
		      struct copy_source *source)
{
	const struct instruction *i = c->instruction;
	int r = git_ref_parse(text, g->arena, &source->git, g->err);

	source->pattern = "";
	if (r < 0)
		return r;
	if (r > 0 && !source->git.like_a_path)
		return set_git(g, i, s, source);
	if (is_url(text))
		return set_url(g, i, text, source);
	source->kind = c->n_sources ? SOURCE_STAGE : SOURCE_CONTEXT;
	source->stage = c->n_sources ? c->sources[0] : PLAN_NONE;
	if (!c->n_sources)
		warn_ignored(g, i, text);
	return s->parents ? split_parents(g, text, source) : clean_path(g, text, &source->path);
}

static int set_file(struct evaluating *g, const struct instruction *i, const struct inline_file *file,
		    struct copy_source *source)
{
	CLEANUP(buf_free) struct buf content = BUF_INIT(EXPANDED_MAX);
	int r;

	*source = (struct copy_source){ .kind = SOURCE_FILE, .pattern = "" };
	if (evaluate_file_name(g, file->name, &source->path) < 0)
		return g->err->code;
	if (!file->expand) {
		source->content = file->content;
		return OK;
	}
	r = stage_expand_raw(&g->values, i, file->content, &content, g->err);
	if (r != OK)
		return r;
	source->content = arena_string(g->arena, buf_text(&content));
	return source->content ? OK : fail_nomem(g->err);
}

/* ---- the whole -------------------------------------------------------------------- */

static int expand_options(struct evaluating *g, const struct instruction *i, struct copy_step *s)
{
	int r = evaluate_word(g, i, i->copy.chown, &s->chown);

	if (r == OK)
		r = evaluate_word(g, i, i->copy.chmod, &s->chmod);
	return r == OK ? evaluate_word(g, i, i->copy.checksum, &s->checksum) : r;
}

static int expand_sources(struct evaluating *g, const struct instruction *i, struct string_list *ret_texts)
{
	struct string_list texts = { .items = arena_array(g->arena, i->words.n, sizeof *texts.items) };

	if (!texts.items)
		return fail_nomem(g->err);
	for (size_t k = 0; k < i->words.n; k++) {
		const char *value;
		int r = evaluate_word(g, i, i->words.items[k], &value);

		if (r != OK)
			return r;
		texts.items[texts.n++] = (char *)value;
	}
	*ret_texts = texts;
	return OK;
}

static bool is_git(struct evaluating *g, const char *text)
{
	struct git_ref ignored;

	return git_ref_parse(text, g->arena, &ignored, NULL) > 0;
}

static int check_options(struct evaluating *g, const struct copy_step *s, const struct string_list *texts)
{
	if (*s->chmod && file_mode_check(s->chmod, g->err) < 0)
		return E_INVALID;
	if (!*s->checksum)
		return OK;
	if (texts->n != 1)
		return fail(g->err, E_INVALID, "checksum can't be specified for multiple sources");
	if (!is_url(texts->items[0]) && !is_git(g, texts->items[0]))
		return fail(g->err, E_INVALID, "checksum requires HTTP(S) or Git sources");
	return OK;
}

static int set_sources(struct evaluating *g, const struct plan_command *c, const struct string_list *texts,
		       struct copy_step *s)
{
	const struct instruction *i = c->instruction;
	int r = OK;

	s->sources = arena_array(g->arena, texts->n + i->n_files, sizeof *s->sources);
	if (!s->sources)
		return fail_nomem(g->err);
	for (size_t k = 0; r == OK && k < texts->n; k++)
		r = set_source(g, c, s, texts->items[k], &s->sources[s->n_sources++]);
	for (size_t k = 0; r == OK && k < i->n_files; k++)
		r = set_file(g, i, &i->files[k], &s->sources[s->n_sources++]);
	return r;
}

static void say(struct evaluating *g, const struct instruction *i, const struct copy_step *s,
		const struct string_list *texts, const char *destination)
{
	struct buf *out = &g->created_by;

	buf_puts(out, instruction_name(i->kind));
	buf_puts(out, s->parents ? " --parents" : "");
	if (*s->chown)
		buf_printf(out, " --chown=%s", s->chown);
	if (*s->chmod)
		buf_printf(out, " --chmod=%s", s->chmod);
	for (size_t k = 0; k < texts->n; k++)
		buf_printf(out, " %s", texts->items[k]);
	for (size_t k = 0; k < i->n_files; k++)
		buf_printf(out, " <<%s", i->files[k].name);
	buf_printf(out, " %s", destination);
}

static int check_order(struct evaluating *g, const struct plan_command *c)
{
	const struct plan *p = g->plan;
	struct quoted from, here;

	if (!c->n_sources || c->sources[0] < g->index || !p->stages[c->sources[0]].stage)
		return OK;
	return fail(g->err, E_INVALID, "cannot copy from stage %s, it needs to be defined before current stage %s",
		    quote_short(c->instruction->copy.from, &from), quote_short(g->stage->name, &here));
}

int evaluate_copy(struct evaluating *g, const struct plan_command *c, struct step *step)
{
	const struct instruction *i = c->instruction;
	struct copy_step *s = &step->copy;
	struct string_list texts = { .n = 0 };
	const char *destination;
	int r;

	*s = (struct copy_step){ .add = i->kind == INSTRUCTION_ADD,
				 .link = i->copy.link,
				 .parents = i->copy.parents,
				 .unpack = i->copy.unpack,
				 .keep_git_dir = i->copy.keep_git_dir,
				 .excludes = i->copy.excludes };
	r = expand_options(g, i, s);
	if (r == OK)
		r = expand_sources(g, i, &texts);
	if (r == OK)
		r = evaluate_word(g, i, i->text, &destination);
	if (r == OK)
		r = check_order(g, c);
	if (r == OK)
		r = set_destination(g, destination, s);
	if (r == OK)
		r = check_options(g, s, &texts);
	if (r == OK)
		r = set_sources(g, c, &texts, s);
	if (r == OK)
		say(g, i, s, &texts, destination);
	return r;
}

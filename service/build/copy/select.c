#include "service/build/copy/select.h"

#include <sys/stat.h>

#include "service/build/path_glob.h"
#include "store/types/path.h"

enum { RANGES_AT_ONCE = 4096 };

struct selecting {
	const struct copy_step *step;
	const struct copy_files *files;
	struct arena *arena;
	struct copy_items *items;
	const struct stream_filter *filter;
	const char *required;
};

int copy_items_add(struct copy_items *items, const struct copy_item *item, struct arena *a, struct err *err)
{
	int rc;

	if (items->n == COPY_ITEMS_MAX)
		return fail(err, E_LIMIT, "the sources of one instruction name more than %d files", COPY_ITEMS_MAX);
	rc = arena_grow(a, &items->all, items->n, &items->room, sizeof *items->all, err);
	if (rc == OK)
		items->all[items->n++] = *item;
	return rc;
}

static struct bytes last_part(struct bytes path)
{
	size_t at = path.len;

	while (at && path.data[at - 1] != '/')
		at--;
	return (struct bytes){ path.data + at, path.len - at };
}

/* `named`: relative, cleaned, in the arena. */
static int add_path(struct selecting *s, struct bytes named, struct err *err)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(SOURCE_PATH_MAX);
	struct copy_item item = {
		.files = s->files, .name = last_part(named), .filter = s->filter, .required = s->required
	};
	int rc = source_resolve(s->files, named, &path, &item.mode, err);

	if (rc != OK || S_ISSOCK(item.mode))
		return rc;
	item.path = (struct bytes){ (const uint8_t *)arena_bytes(s->arena, buf_bytes(&path)), path.len };
	return item.path.data ? copy_items_add(s->items, &item, s->arena, err) : fail_nomem(err);
}

/* ---- patterns of the step ------------------------------------------------------------------- */

static int add_excludes(const struct copy_step *step, struct arena *a, struct ignore *g, struct err *err)
{
	int rc = OK;

	for (size_t i = 0; rc == OK && i < step->excludes.n; i++)
		rc = ignore_add(g, bytes_of(step->excludes.items[i]), 1, a, err);
	return rc;
}

/* All but what the pattern names. */
static int add_include(const char *pattern, struct arena *a, struct ignore *g, struct err *err)
{
	char *exception = arena_printf(a, "!%s", pattern);
	int rc = exception ? ignore_add(g, bytes_of("**"), 1, a, err) : fail_nomem(err);

	return rc == OK ? ignore_add(g, bytes_of(exception), 1, a, err) : rc;
}

static int make_filter(struct selecting *s, const struct copy_source *source, struct err *err)
{
	struct stream_filter *f = arena_alloc(s->arena, sizeof *f);
	struct ignore *included = arena_alloc(s->arena, sizeof *included),
		      *excluded = arena_alloc(s->arena, sizeof *excluded);
	int rc = OK;

	if (!f || !included || !excluded)
		return fail_nomem(err);
	if (*source->pattern) {
		f->included = included;
		rc = add_include(source->pattern, s->arena, included, err);
	}
	if (rc == OK && s->step->excludes.n) {
		f->excluded = excluded;
		rc = add_excludes(s->step, s->arena, excluded, err);
	}
	if (f->included || f->excluded)
		s->filter = f;
	if (source->required)
		s->required = source->pattern;
	return rc;
}

/* ---- wildcards --------------------------------------------------------------------------------- */

/* How much of the source has no wildcard: whole parts, and the slash behind them. */
static size_t literal_part(const char *source)
{
	size_t at = 0;

	while (source[at]) {
		size_t len = strcspn(source + at, "/");
		char part[NAME_MAX + 1];

		if (len > NAME_MAX)
			break;
		memcpy(part, source + at, len);
		part[len] = 0;
		if (path_has_wildcards(part))
			break;
		at += len + (source[at + len] == '/');
	}
	return at;
}

static size_t count_slashes(struct bytes path)
{
	size_t n = 0;

	for (size_t i = 0; i < path.len; i++)
		n += path.data[i] == '/';
	return n;
}

static int add_match(struct selecting *s, struct bytes directory, struct bytes below, struct err *err)
{
	char *path = directory.len
			     ? arena_printf(s->arena, "%.*s/%.*s", (int)directory.len, (const char *)directory.data,
					    (int)below.len, (const char *)below.data)
			     : arena_bytes(s->arena, below);
	struct err why = ERR_INIT;
	int rc;

	if (!path)
		return fail_nomem(err);
	if (s->filter && s->filter->excluded && ignore_excludes(s->filter->excluded, below))
		return OK;
	rc = add_path(s, bytes_of(path), &why);
	return rc == OK || rc == E_NOT_FOUND ? OK : fail(err, rc, "%s", why.text); /* a link to nowhere */
}

/* Entries of a context below `directory`. */
static int match_in_context(struct selecting *s, struct bytes directory, const struct path_glob *glob, struct err *err)
{
	const struct context_list *l = build_context_list(s->files->context);
	struct context_range range = context_list_range(l, directory);
	size_t skip = directory.len ? directory.len + 1 : 0, deepest = count_slashes(glob->pattern.text);
	int rc = OK;

	range.begin += directory.len && range.begin < range.end;
	for (uint32_t i = range.begin; rc == OK && i < range.end;) {
		struct bytes path = context_list_path(l, i), below = { path.data + skip, path.len - skip };
		bool matches = path_glob_matches(glob, below);

		if (matches)
			rc = add_match(s, directory, below, err);
		i = matches || count_slashes(below) >= deepest ? context_list_skip(l, i) : i + 1;
	}
	return rc;
}

/* Resolving a link moves the tree's place, but not that of the walk. */
static int match_in_tree(struct selecting *s, struct bytes directory, const struct path_glob *glob, struct err *err)
{
	size_t deepest = count_slashes(glob->pattern.text);
	CLEANUP(tree_closep) struct tree *walk = NULL;
	const struct tree_entry *t = NULL;
	int rc = tree_view_walk(s->files->view, directory, &walk, err);

	if (rc != OK)
		return rc == E_NOT_FOUND ? OK : rc;
	while (rc == OK && (rc = tree_next(walk, &t, err)) == OK && t) {
		bool matches = t->path.len && path_glob_matches(glob, t->path);

		if (t->path.len && (matches || count_slashes(t->path) >= deepest))
			tree_skip(walk);
		if (matches)
			rc = add_match(s, directory, t->path, err);
	}
	return rc;
}

static int match(struct selecting *s, const char *source, size_t literal, struct err *err)
{
	CLEANUP(buf_free) struct buf directory = BUF_INIT(SOURCE_PATH_MAX);
	struct bytes named = { (const uint8_t *)source, literal };
	struct err why = ERR_INIT;
	struct path_glob glob;
	uint32_t mode;
	int rc = path_glob_compile(bytes_of(source + literal), s->arena, &glob, err);

	if (rc != OK)
		return rc;
	named.len -= literal && source[literal - 1] == '/';
	rc = source_resolve(s->files, named, &directory, &mode, &why);
	if (rc != OK || !S_ISDIR(mode))
		return rc == OK || rc == E_NOT_FOUND ? OK : fail(err, rc, "%s", why.text);
	return s->files->context ? match_in_context(s, buf_bytes(&directory), &glob, err)
				 : match_in_tree(s, buf_bytes(&directory), &glob, err);
}

int select_source(const struct copy_step *step, const struct copy_source *source, const struct copy_files *files,
		  struct arena *a, struct copy_items *items, struct err *err)
{
	struct selecting s = { .step = step, .files = files, .arena = a, .items = items };
	CLEANUP(buf_free) struct buf cleaned = BUF_INIT(SOURCE_PATH_MAX);
	bool is_pattern = source->kind == SOURCE_CONTEXT || source->kind == SOURCE_STAGE;
	const char *path;
	size_t literal;
	int rc = make_filter(&s, source, err);

	if (rc != OK)
		return rc;
	if (!path_join("", source->kind == SOURCE_GIT ? "/" : source->path, &cleaned))
		return fail(err, E_LIMIT, "a source of COPY is too long");
	path = arena_string(a, buf_text(&cleaned) + 1);
	if (!path)
		return fail_nomem(err);
	literal = is_pattern ? literal_part(path) : strlen(path);
	return path[literal] ? match(&s, path, literal, err) : add_path(&s, bytes_of(path), err);
}

/* ---- bytes --------------------------------------------------------------------------------------- */

/* Ranges that are asked for at once. */
struct needing {
	struct build_context *context;
	struct cancel *cancel;
	struct context_range *ranges;
	size_t n;
};

static int ask(struct needing *g, struct err *err)
{
	size_t n = TAKE(g->n);

	return n ? build_context_need(g->context, g->ranges, n, g->cancel, err) : OK;
}

static int add_range(struct needing *g, struct context_range range, struct err *err)
{
	int rc = OK;

	if (g->n && g->ranges[g->n - 1].end == range.begin) {
		g->ranges[g->n - 1].end = range.end;
		return OK;
	}
	if (g->n == RANGES_AT_ONCE)
		rc = ask(g, err);
	g->ranges[g->n++] = range;
	return rc;
}

/* What patterns leave of the context. */
static int add_filtered(struct needing *g, const struct copy_item *item, struct err *err)
{
	CLEANUP(stream_closep) struct stream *s = NULL;
	const struct stream_entry *e = NULL;
	int rc = stream_open(item->files, item->path, item->filter, &s, err);

	while (rc == OK && (rc = stream_next(s, &e, err)) == OK && e)
		if (e->e.index != CONTEXT_NO_ENTRY && S_ISREG(e->e.mode))
			rc = add_range(g, (struct context_range){ e->e.index, e->e.index + 1 }, err);
	return rc;
}

static int add_needed(struct needing *g, const struct copy_item *item, struct err *err)
{
	if (item->filter)
		return add_filtered(g, item, err);
	return add_range(g, context_list_range(build_context_list(g->context), item->path), err);
}

int select_need(const struct copy_item *items, size_t n, struct cancel *cancel, struct err *err)
{
	CLEANUP(freep) struct context_range *ranges = calloc(RANGES_AT_ONCE, sizeof *ranges);
	struct needing g = { .cancel = cancel, .ranges = ranges };
	int rc = ranges ? OK : fail_nomem(err);

	if (rc != OK || !n || !items[0].files->context)
		return rc;
	g.context = items[0].files->context;
	for (size_t i = 0; rc == OK && i < n; i++)
		rc = add_needed(&g, &items[i], err);
	return rc == OK ? ask(&g, err) : rc;
}

#include "service/build/context/context_match.h"

#include "service/build/path_glob.h"
#include "store/types/path.h"

enum { SOURCE_MAX = 4 * CONTEXT_PATH_MAX };

struct matching {
	const struct context_list *list;
	struct arena *arena;
	struct context_ranges *ranges;
};

static int add(struct matching *m, struct context_range range, struct err *err)
{
	struct context_ranges *out = m->ranges;
	int r = arena_grow(m->arena, &out->items, out->n, &out->capacity, sizeof *out->items, err);

	if (r == OK && range.begin < range.end)
		out->items[out->n++] = range;
	return r;
}

/* What the path leads to, with all that is below it. */
static int add_path(struct matching *m, struct bytes path, struct err *err)
{
	struct err why = ERR_INIT;
	struct bytes found = { 0 };
	uint32_t index;
	int r = context_list_resolve(m->list, path, true, &index, &why);

	if (r == E_NOT_FOUND)
		return OK;
	if (r != OK)
		return fail(err, r, "%s", why.text);
	if (index != CONTEXT_NO_ENTRY)
		found = context_list_path(m->list, index);
	return add(m, context_list_range(m->list, found), err);
}

/* How much of the source has no wildcard: whole components, and the slash behind them. */
static size_t literal_part(const char *source)
{
	size_t len = 0;

	for (const char *at = source; *at;) {
		size_t n = strcspn(at, "/");
		char component[CONTEXT_NAME_MAX + 1];

		if (n > CONTEXT_NAME_MAX)
			break;
		memcpy(component, at, n);
		component[n] = 0;
		if (path_has_wildcards(component))
			break;
		len += n + (at[n] == '/');
		at += n + (at[n] == '/');
	}
	return len;
}

static struct bytes behind(struct bytes path, struct bytes directory)
{
	size_t skip = directory.len ? directory.len + 1 : 0;

	return (struct bytes){ path.data + skip, path.len - skip };
}

static int add_matches(struct matching *m, struct bytes directory, const struct path_glob *glob, struct err *err)
{
	struct context_range range = context_list_range(m->list, directory);
	int r = OK;

	range.begin += directory.len && range.begin < range.end;
	for (uint32_t i = range.begin; r == OK && i < range.end;) {
		struct bytes path = context_list_path(m->list, i);
		bool matches = path_glob_matches(glob, behind(path, directory));

		if (matches)
			r = add_path(m, path, err);
		i = matches ? context_list_skip(m->list, i) : i + 1;
	}
	return r;
}

static int match_below(struct matching *m, const char *source, size_t literal, struct err *err)
{
	struct bytes directory = { 0 };
	struct path_glob glob;
	uint32_t index;
	int r = context_list_resolve(m->list, (struct bytes){ (const uint8_t *)source, literal }, true, &index, NULL);

	if (r != OK)
		return OK;
	if (index != CONTEXT_NO_ENTRY)
		directory = context_list_path(m->list, index);
	r = path_glob_compile(bytes_of(source + literal), m->arena, &glob, err);
	return r == OK ? add_matches(m, directory, &glob, err) : r;
}

int context_match(const struct context_list *l, const char *source, struct arena *a, struct context_ranges *ranges,
		  struct err *err)
{
	struct matching m = { l, a, ranges };
	CLEANUP(buf_free) struct buf rooted = BUF_INIT(SOURCE_MAX);
	CLEANUP(buf_free) struct buf cleaned = BUF_INIT(SOURCE_MAX);
	const char *path;
	size_t literal;

	if (!buf_putc(&rooted, '/') || !buf_puts(&rooted, source) || !path_clean(buf_bytes(&rooted), &cleaned))
		return fail(err, E_LIMIT, "a source of COPY is too long");
	path = arena_string(a, buf_text(&cleaned) + 1); /* without the slash that kept it in */
	if (!path)
		return fail_nomem(err);
	literal = literal_part(path);
	return path[literal] ? match_below(&m, path, literal, err) : add_path(&m, bytes_of(path), err);
}

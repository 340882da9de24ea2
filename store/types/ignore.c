#include "store/types/ignore_pattern.h"

#include "store/types/path.h"

/* ---- reading -------------------------------------------------------------------- */

static int add_cleaned(struct ignore *g, struct bytes text, bool exception, int line, struct arena *a, struct err *err)
{
	struct ignore_pattern p = { .text = text, .exception = exception, .line = line };
	int r = OK;

	if (text.len > IGNORE_PATTERN_MAX)
		return fail(err, E_LIMIT, "a pattern is longer than %d bytes", IGNORE_PATTERN_MAX);
	if (g->n >= IGNORE_PATTERNS_MAX)
		return fail(err, E_LIMIT, "there are more than %d patterns", IGNORE_PATTERNS_MAX);
	r = ignore_pattern_compile(&p, a, err);
	if (r == OK)
		r = arena_grow(a, &g->patterns, g->n, &g->capacity, sizeof *g->patterns, err);
	if (r != OK)
		return r;
	g->patterns[g->n++] = p;
	g->exceptions = g->exceptions || exception;
	return OK;
}

/* Cleaned, in the arena. */
static int clean(struct bytes text, struct arena *a, struct bytes *ret_text, struct err *err)
{
	CLEANUP(buf_free) struct buf cleaned = BUF_INIT(text.len + 2);

	if (!path_clean(text, &cleaned))
		return fail_nomem(err);
	*ret_text = buf_bytes(&cleaned);
	ret_text->data = (const uint8_t *)arena_bytes(a, *ret_text);
	return ret_text->data ? OK : fail_nomem(err);
}

int ignore_add(struct ignore *g, struct bytes pattern, int line, struct arena *a, struct err *err)
{
	struct bytes text = bytes_trim(pattern);
	bool exception;
	int r;

	if (!text.len)
		return OK;
	r = clean(text, a, &text, err);
	if (r != OK)
		return r;
	exception = bytes_begin(text, "!");
	text = bytes_from(text, exception);
	if (!text.len)
		return fail(err, E_INVALID, "illegal exclusion pattern: \"!\"");
	r = add_cleaned(g, text, exception, line, a, err);
	if (r == E_INVALID)
		return err_wrap(err, "line %d: \"%.*s\"", line, (int)min_size(text.len, 128), (const char *)text.data);
	return r;
}

/* A path that begins at the root begins at the context. */
static int add_line(struct ignore *g, struct bytes line, int number, struct arena *a, struct err *err)
{
	CLEANUP(buf_free) struct buf pattern = BUF_INIT(line.len + 3);
	bool exception;

	if (bytes_begin(line, "#"))
		return OK;
	line = bytes_trim(line);
	if (!line.len)
		return OK;
	exception = bytes_begin(line, "!");
	line = bytes_trim(bytes_from(line, exception));
	buf_puts(&pattern, exception ? "!" : "");
	if (line.len && !path_clean(line, &pattern))
		return fail_nomem(err);
	line = buf_bytes(&pattern);
	if (line.len > (size_t)exception + 1 && line.data[exception] == '/') {
		memmove(pattern.data + exception, pattern.data + exception + 1, pattern.len - exception - 1);
		line.len--;
	}
	return ignore_add(g, line, number, a, err);
}

int ignore_parse(struct bytes text, struct arena *a, struct ignore *ret_ignore, struct err *err)
{
	struct ignore g = { .n = 0 };
	struct bytes line;
	int r = OK;

	if (text.len > IGNORE_FILE_MAX)
		return fail(err, E_LIMIT, "the file is larger than %d bytes", IGNORE_FILE_MAX);
	if (bytes_begin(text, "\xef\xbb\xbf"))
		text = bytes_from(text, 3);
	for (int number = 1; r == OK && bytes_take_line(&text, &line); number++) {
		line.len -= line.len && line.data[line.len - 1] == '\n';
		line.len -= line.len && line.data[line.len - 1] == '\r';
		r = add_line(&g, line, number, a, err);
	}
	if (r == OK)
		*ret_ignore = g;
	return r;
}

/* ---- matching ------------------------------------------------------------------- */

/* The path, or a directory above it. */
static bool covers(const struct ignore_pattern *p, struct bytes path)
{
	if (ignore_pattern_matches(p, path))
		return true;
	for (size_t i = 1; i < path.len; i++)
		if (path.data[i] == '/' && ignore_pattern_matches(p, bytes_first(path, i)))
			return true;
	return false;
}

/* The last one that matches decides, so they are asked from the last one on. */
const struct ignore_pattern *ignore_match(const struct ignore *g, struct bytes path)
{
	if (bytes_are(path, "."))
		return NULL; /* the context itself */
	for (size_t i = g->n; i-- > 0;)
		if (covers(&g->patterns[i], path))
			return &g->patterns[i];
	return NULL;
}

const struct ignore_pattern *ignore_match_in(const struct ignore *g, struct bytes path, const bool *above,
					     bool *ret_matched)
{
	const struct ignore_pattern *decided = NULL;

	for (size_t i = g->n; i-- > 0 && (ret_matched || !decided);) {
		bool matched = (above && above[i]) || ignore_pattern_matches(&g->patterns[i], path);

		if (ret_matched)
			ret_matched[i] = matched;
		if (matched && !decided)
			decided = &g->patterns[i];
	}
	return decided;
}

bool ignore_excludes(const struct ignore *g, struct bytes path)
{
	const struct ignore_pattern *p = ignore_match(g, path);

	return p && !p->exception;
}

/* Whether the pattern's first parts can be those of the directory; with "**" they can be
 * any. */
static bool may_match_below(const struct ignore_pattern *p, struct bytes directory, struct arena *a)
{
	struct bytes rest = p->text;

	while (directory.len) {
		size_t len = bytes_find(rest, '/'), n = bytes_find(directory, '/');
		struct ignore_pattern part = { .text = bytes_first(rest, len) };

		if (memmem(part.text.data, part.text.len, "**", 2) || memchr(part.text.data, '\\', part.text.len) ||
		    memchr(part.text.data, '[', part.text.len))
			return true;
		if (len == rest.len) /* it matches the directory at most, which then is all there is to say */
			return false;
		if (ignore_pattern_compile(&part, a, NULL) < 0)
			return true;
		if (!ignore_pattern_matches(&part, bytes_first(directory, n)))
			return false;
		rest = bytes_from(rest, len + 1);
		directory = bytes_from(directory, n + (n < directory.len));
	}
	return true;
}

bool ignore_may_except_below(const struct ignore *g, struct bytes directory)
{
	CLEANUP(arena_free) struct arena a;
	bool may = false;

	arena_init(&a, 16 * 1024 * 1024);
	for (size_t i = 0; !may && i < g->n; i++)
		may = g->patterns[i].exception && may_match_below(&g->patterns[i], directory, &a);
	return may;
}

char *ignore_file_beside(const char *dockerfile, struct arena *a)
{
	return arena_printf(a, "%s.dockerignore", dockerfile);
}

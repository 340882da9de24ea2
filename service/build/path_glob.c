#include "service/build/path_glob.h"

#include "store/types/ignore_pattern.h"

int path_glob_compile(struct bytes text, struct arena *a, struct path_glob *ret_glob, struct err *err)
{
	struct path_glob g = { .pattern = { .text = text, .plain_stars = true } };
	int r;

	if (text.len > IGNORE_PATTERN_MAX)
		return fail(err, E_LIMIT, "a pattern is longer than %d bytes", IGNORE_PATTERN_MAX);
	r = ignore_pattern_compile(&g.pattern, a, err);
	if (r == OK)
		*ret_glob = g;
	return r;
}

bool path_glob_matches(const struct path_glob *g, struct bytes path)
{
	return ignore_pattern_matches(&g->pattern, path);
}

bool path_has_wildcards(const char *path)
{
	for (; *path; path++) {
		if (strchr("*?[", *path))
			return true;
		path += *path == '\\' && path[1];
	}
	return false;
}

/*
 * Wildcards in the sources of COPY and ADD, as Go's filepath.Match reads them: `*` any text
 * without '/', `?` a character but '/', `[a-z]`, `[^a-z]`, `\x`. "**" is no more than "*".
 *
 * Pure; in the arena. E_INVALID "syntax error in pattern"; E_LIMIT, E_NO_MEMORY.
 */
#ifndef SERVICE_BUILD_PATH_GLOB_H
#define SERVICE_BUILD_PATH_GLOB_H

#include "store/types/ignore.h"

struct path_glob {
	struct ignore_pattern pattern;
};

/* The text is kept. */
int path_glob_compile(struct bytes text, struct arena *a, struct path_glob *ret_glob, struct err *err);

/* All of the path: "a*" matches "ab", not "a/b". */
bool path_glob_matches(const struct path_glob *g, struct bytes path);

/* Whether it is a pattern at all. */
bool path_has_wildcards(const char *path);

#endif

/*
 * .dockerignore: which paths of a build context do not belong to it (build.md 1.4).
 *
 * A line is a pattern; "#" in front makes it a comment, "!" an exception. The last pattern
 * that matches a path, or a directory above it, decides.
 *
 *	*	any text without '/'
 *	?	any character but '/'
 *	[a-z]	one of them; [^a-z] one that is none of them
 *	**	with a '/' behind it any directories or none; at the end everything
 *	\x	x itself
 *
 * Pure; in the caller's arena. E_INVALID "illegal exclusion pattern: \"!\"", "syntax error
 * in pattern"; E_LIMIT, E_NO_MEMORY. Matching is by one thread or by many.
 */
#ifndef STORE_TYPES_IGNORE_H
#define STORE_TYPES_IGNORE_H

#include "store/types/text.h"

enum { IGNORE_FILE_MAX = 1024 * 1024, IGNORE_PATTERN_MAX = 4096, IGNORE_PATTERNS_MAX = 10 * 1000 };

struct ignore_token;

struct ignore_pattern {
	struct bytes text; /* cleaned, without "!" */
	bool exception;
	bool plain_stars; /* "**" is no more than "*" (path_glob.h) */
	int line;	  /* of the file, from 1 */
	enum { IGNORE_EXACT, IGNORE_PREFIX, IGNORE_SUFFIX, IGNORE_GLOB } kind;
	struct ignore_token *tokens; /* of IGNORE_GLOB */
	size_t n_tokens;	     /* <= IGNORE_PATTERN_MAX */
	struct bytes needle;	     /* of IGNORE_GLOB: a text that every match holds, or "" */
};

struct ignore {
	struct ignore_pattern *patterns;
	size_t n, capacity;
	bool exceptions; /* some are */
};

/* A whole file. */
int ignore_parse(struct bytes text, struct arena *a, struct ignore *ret_ignore, struct err *err);

/* One more pattern, as a line is after it was read. */
int ignore_add(struct ignore *g, struct bytes pattern, int line, struct arena *a, struct err *err);

/* What decides about the path, which is relative, cleaned, and has '/' between its parts:
 * the pattern that excludes it or makes it an exception; NULL: none does. */
const struct ignore_pattern *ignore_match(const struct ignore *g, struct bytes path);

bool ignore_excludes(const struct ignore *g, struct bytes path);

/* The same in a walk, where the directories above were asked about before: `above` says of
 * each pattern whether it matches the directory that the path is in, or one above that
 * (NULL: that is the context itself). ret_matched gets the same for the path, when it is a
 * directory; NULL: it is none. Both have g->n items. */
const struct ignore_pattern *ignore_match_in(const struct ignore *g, struct bytes path, const bool *above,
					     bool *ret_matched);

/* Whether an exception could match something below a directory that is excluded: then it
 * has to be walked. */
bool ignore_may_except_below(const struct ignore *g, struct bytes directory);

/* The file beside a Dockerfile that is asked for before ".dockerignore". In the arena. */
char *ignore_file_beside(const char *dockerfile, struct arena *a);

#endif

/*
 * Variables, quotes and escapes of a word: $name, ${name}, ${name:-word}, ${name-word},
 * ${name:+word}, ${name+word}, ${name:?word}, ${name?word} (build.md 1.2). Patterns
 * (${name#pattern} and its kin) are refused: E_INVALID "unsupported modifier".
 *
 * Pure. A value has at most EXPANDED_MAX bytes: E_LIMIT. A word that is wrong is
 * E_INVALID: `failed to process "WORD": unexpected end of statement while looking for
 * matching double-quote`.
 */
#ifndef SERVICE_BUILD_EXPAND_H
#define SERVICE_BUILD_EXPAND_H

#include "service/build/words.h"

enum { EXPANDED_MAX = 1024 * 1024, EXPAND_DEPTH_MAX = 32 };

struct variables {
	/* The value, or NULL when it is unset. */
	const char *(*get)(void *arg, struct bytes name);
	void *arg;
};

/* Appends the value. */
int expand(const char *word, char escape, const struct variables *v, struct buf *out, struct err *err);

/* The words that the value falls into: blanks that come from a variable part words, too;
 * quoted ones do not. In the arena. */
int expand_words(const char *word, char escape, const struct variables *v, struct arena *a,
		 struct string_list *ret_words, struct err *err);

#endif

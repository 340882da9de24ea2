/*
 * Variables, quotes and escapes of a word (build.md 1.2): $name, ${name}, ${name:-word},
 * ${name-word}, ${name:+word}, ${name+word}, ${name:?word}, ${name?word},
 * ${name#pattern} and ##, % and %%, ${name/pattern/word} and //.
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
	/* The value, or NULL when it is unset. Each reference is asked for once. */
	const char *(*get)(void *arg, struct bytes name);
	void *arg;
	uint64_t *steps; /* what patterns may still cost (shell_pattern.h); NULL: enough for this call */
};

struct expand_rules {
	char escape;
	bool keep_quotes;  /* quotes stay in the value, around what they quote */
	bool keep_escapes; /* and escapes before what they escape */
	bool keep_unset;   /* an unset variable stays as it is written */
	bool no_quotes;	   /* a quote is a character like others */
};

/* Appends the value. */
int expand(const char *word, const struct expand_rules *rules, const struct variables *v, struct buf *out,
	   struct err *err);

/* The words that the value falls into: blanks that come from a variable part words, too;
 * quoted ones do not. In the arena. */
int expand_words(const char *word, const struct expand_rules *rules, const struct variables *v, struct arena *a,
		 struct string_list *ret_words, struct err *err);

#endif

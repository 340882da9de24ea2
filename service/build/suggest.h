/* "did you mean": the option that a misspelt word was meant to be. Pure. */
#ifndef SERVICE_BUILD_SUGGEST_H
#define SERVICE_BUILD_SUGGEST_H

#include "proto/runtime/mem.h"

struct suggestion {
	char text[64]; /* " (did you mean X?)", or "" */
};

/* An option ends at its '=', so that variables with their values can be options. */

/* The nearest of the options at an edit distance of at most 2, or NULL; none when the
 * word is one of them. The first of several that are as near. */
const char *suggest_nearest(struct bytes word, const char *const *options, size_t n, bool any_case);

/* The same as the end of a message. In any case: the option, which is in upper case, is
 * written in lower case unless the word is in upper case. */
const char *suggest(struct bytes word, const char *const *options, size_t n, bool any_case, struct suggestion *out);

#endif

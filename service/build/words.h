/*
 * How the argument of an instruction falls into words. Dockerfiles know four ways:
 * flags before it, a JSON array, words between blanks, and words as a shell sees them,
 * which keep their quotes and escapes until expand.h takes them off.
 *
 * Pure. Words are pieces of the text, or are in the caller's arena. E_NO_MEMORY also when
 * that is full; E_LIMIT when there are too many (text.h).
 */
#ifndef SERVICE_BUILD_WORDS_H
#define SERVICE_BUILD_WORDS_H

#include "store/types/image_config.h"
#include "store/types/text.h"

int words_between_blanks(struct bytes text, struct arena *a, struct word_list *ret_words, struct err *err);
int words_of_shell(struct bytes text, char escape, struct arena *a, struct word_list *ret_words, struct err *err);

/* 1 when all of the text is a JSON array of strings, which may hold a NUL, 0 when it is
 * something else. E_INVALID: an array, but not only of strings. */
int words_of_json(struct bytes text, struct arena *a, struct word_list *ret_words, struct err *err);

/* "--name=value" words in front, without quotes; *text moves behind them. "--" ends them. */
int words_take_flags(struct bytes *text, char escape, struct arena *a, struct word_list *ret_flags, struct err *err);

/* Blanks of an argument but no newline: what parts a keyword from what follows. */
size_t words_blanks(struct bytes text);	      /* how many are in front */
size_t words_before_blank(struct bytes text); /* how many bytes come before the first */

#endif

/*
 * How the argument of an instruction falls into words. Dockerfiles know four ways:
 * flags before it, a JSON array, words between blanks, and words as a shell sees them,
 * which keep their quotes and escapes until expand.h takes them off.
 *
 * Pure; everything that is given back is in the caller's arena. E_NO_MEMORY also when
 * that is full.
 */
#ifndef SERVICE_BUILD_WORDS_H
#define SERVICE_BUILD_WORDS_H

#include "proto/runtime/arena.h"
#include "store/types/image_config.h"

/* White space of words; unlike isspace() whatever the locale. */
bool is_blank(char c);

int words_between_blanks(const char *text, struct arena *a, struct string_list *ret_words, struct err *err);
int words_of_shell(const char *text, char escape, struct arena *a, struct string_list *ret_words, struct err *err);

/* 1 when all of the text is a JSON array of strings, 0 when it is something else.
 * E_INVALID: an array, but not only of strings. */
int words_of_json(const char *text, struct arena *a, struct string_list *ret_words, struct err *err);

/* "--name=value" words in front, without quotes; *text moves behind them. "--" ends them. */
int words_take_flags(const char **text, struct arena *a, struct string_list *ret_flags, struct err *err);

#endif

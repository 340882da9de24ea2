/*
 * The patterns of ${name#pattern}, ${name%pattern} and ${name/pattern/text}: `*` is any
 * text of one line, `?` any character but a newline, `\` takes the meaning off `*`, `?`
 * and itself (before `/` and `}` it is dropped). There are no brackets.
 *
 * Pure. Each call appends the result. E_INVALID: "invalid pattern (X) in substitution:
 * invalid escape '\x'". E_LIMIT: the text or the pattern is longer than PATTERN_TEXT_MAX
 * characters, or the comparison takes more than *steps, which counts down.
 */
#ifndef SERVICE_BUILD_SHELL_PATTERN_H
#define SERVICE_BUILD_SHELL_PATTERN_H

#include "proto/runtime/buf.h"

enum { PATTERN_TEXT_MAX = 256 * 1024, PATTERN_STEPS_MAX = 64 * 1024 * 1024 };

/* The value without the shortest or the longest part that matches. */
int pattern_cut_prefix(const char *pattern, const char *value, bool longest, uint64_t *steps, struct buf *out,
		       struct err *err);
int pattern_cut_suffix(const char *pattern, const char *value, bool longest, uint64_t *steps, struct buf *out,
		       struct err *err);

/* The first match, which is the longest from where it begins, or all of them replaced. */
int pattern_replace(const char *pattern, const char *replacement, const char *value, bool all, uint64_t *steps,
		    struct buf *out, struct err *err);

#endif

/*
 * Sizes, ages and cut texts as docker prints them (go-units, docker's formatter
 * package). Pure functions.
 */
#ifndef CLIENT_CLI_FORMAT_UNITS_H
#define CLIENT_CLI_FORMAT_UNITS_H

#include "client/cli/value/value.h"

enum { SIZE_TEXT_MAX = 32, AGE_TEXT_MAX = 48 };

/* "65.6MB": powers of 1000, so many significant digits (3 in lists, 4 in sums). */
char *size_text(double bytes, int digits, char out[SIZE_TEXT_MAX]);

/* "2 years" for a time span in nanoseconds. */
char *age_text(int64_t nanos, char out[AGE_TEXT_MAX]);
/* "2 years ago" for a moment in seconds since 1970, seen from now_ns. */
char *age_since(int64_t seconds, int64_t now_ns, char out[AGE_TEXT_MAX]);

/* At most `width` cells, the last an ellipsis where something was cut. */
bool ellipsis(struct buf *out, struct text t, int width);

/* An ID without "sha256:", first 12 characters. */
struct text short_id(const char *id);

#endif

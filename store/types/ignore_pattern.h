/* One pattern of ignore.h: its syntax, and what it matches. Pure. Private to ignore*.c and path_glob.c. */
#ifndef STORE_TYPES_IGNORE_PATTERN_H
#define STORE_TYPES_IGNORE_PATTERN_H

#include "store/types/ignore.h"

/* `text`, `exception`, `plain_stars` and `line` are set. E_INVALID "syntax error in pattern". */
int ignore_pattern_compile(struct ignore_pattern *p, struct arena *a, struct err *err);

/* The path itself, not what is below. */
bool ignore_pattern_matches(const struct ignore_pattern *p, struct bytes path);

#endif

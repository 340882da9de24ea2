/*
 * The ARGs that are in effect: names with a value or without one, in the order in which
 * they were declared.
 *
 * One thread; all in the arena.
 */
#ifndef SERVICE_BUILD_SCOPE_H
#define SERVICE_BUILD_SCOPE_H

#include "store/types/text.h"

struct scope_arg {
	const char *name;
	const char *value; /* NULL: declared only */
};

struct scope {
	struct arena *arena;
	struct scope_arg *args;
	size_t n, capacity;
};

enum { SCOPE_MAX = 10 * 1000 };

/* Both texts are copied. A name that is there keeps its place. E_LIMIT, E_NO_MEMORY. */
int scope_put(struct scope *s, const char *name, const char *value, struct err *err);

/* NULL when it is not declared. */
const struct scope_arg *scope_find(const struct scope *s, struct bytes name);

/* Into an empty one of the same arena, with the same texts. E_NO_MEMORY. */
int scope_copy(struct scope *to, const struct scope *from, struct err *err);

/* For expand.h: the values; the argument is a scope. */
const char *scope_value(void *scope, struct bytes name);

#endif

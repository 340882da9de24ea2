/*
 * Which files of a context a build looks at, so that the others need not be sent or read.
 *
 * Pure; in the arena.
 */
#ifndef SERVICE_BUILD_CONTEXT_PATHS_H
#define SERVICE_BUILD_CONTEXT_PATHS_H

#include "service/build/evaluate.h"

/* Of the main context ("") or a named one: paths from its root without '/' in front, which
 * may hold wildcards; a directory stands for all that is below. Sorted, each once. One
 * path "" alone: all of it. None: the build does not look at it. */
int context_paths(const struct plan *p, const struct evaluation *e, const char *context, struct arena *a,
		  struct string_list *ret_paths, struct err *err);

#endif

/*
 * What the sources of COPY and ADD name in a context (service/build/context_paths.h gives
 * them): ranges of its list, as build_context_need() takes them.
 *
 * A path begins at the context's root whatever is in front, and cannot leave it. Links on the
 * way are followed, and those that a source names itself; what is below stays as it is. What
 * there is not is no range; to say so is the step's matter.
 *
 * Pure; in the arena. E_INVALID "syntax error in pattern"; E_LIMIT, E_NO_MEMORY.
 */
#ifndef SERVICE_BUILD_CONTEXT_CONTEXT_MATCH_H
#define SERVICE_BUILD_CONTEXT_CONTEXT_MATCH_H

#include "proto/runtime/arena.h"
#include "store/contexts/context_list.h"

struct context_ranges {
	struct context_range *items;
	size_t n, capacity;
};

/* Adds those of one source, with or without wildcards, in the order of the list. */
int context_match(const struct context_list *l, const char *source, struct arena *a, struct context_ranges *ranges,
		  struct err *err);

#endif

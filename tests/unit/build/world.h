/* A Dockerfile all the way to its graph, for tests. */
#ifndef TESTS_UNIT_BUILD_WORLD_H
#define TESTS_UNIT_BUILD_WORLD_H

#include "service/build/graph.h"

struct world {
	struct arena arena;
	struct scope args;
	struct lint lint;
	struct dockerfile file;
	struct plan_options options;
	struct plan plan;
	struct evaluation evaluation;
	struct graph_options graph_options;
	struct graph graph;
	struct place place;
	struct err err;
};

/* `args`: "NAME=value", NULL at the end; may be NULL. After world_init() the options may
 * be changed. */
void world_init(struct world *w, size_t arena_max, const char *const *args);
int world_run(struct world *w, const char *text);
void world_free(struct world *w); /* also the cleanup function */

/* The key of the target's operation, all contexts being the same. */
struct digest world_key(const struct world *w);

#endif

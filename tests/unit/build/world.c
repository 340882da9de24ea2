#include "tests/unit/build/world.h"

void world_init(struct world *w, size_t arena_max, const char *const *args)
{
	*w = (struct world){ .err = ERR_INIT };
	arena_init(&w->arena, arena_max);
	w->args.arena = w->lint.arena = &w->arena;
	w->options = (struct plan_options){ .build_args = &w->args, .target = "" };
	platform_parse("linux/amd64", &w->options.build_platform, NULL);
	platform_parse("linux/amd64", &w->options.target_platform, NULL);
	for (; args && *args; args++) {
		char *name = arena_string(&w->arena, *args);

		name[strcspn(name, "=")] = 0;
		scope_put(&w->args, name, *args + strlen(name) + 1, NULL);
	}
}

int world_run(struct world *w, const char *text)
{
	int r = dockerfile_parse(bytes_of(text), &w->arena, &w->lint, &w->file, &w->place, &w->err);

	if (r == OK)
		r = plan_make(&w->file, &w->options, &w->arena, &w->lint, &w->plan, &w->place, &w->err);
	for (size_t i = 0; r == OK && i < w->plan.n; i++)
		r = plan_fire_triggers(&w->plan, i, &w->place, &w->err);
	if (r == OK)
		r = evaluate(&w->plan, NULL, &w->arena, &w->evaluation, &w->place, &w->err);
	if (r == OK)
		r = graph_make(&w->plan, &w->evaluation, &w->graph_options, &w->arena, &w->graph, &w->err);
	return r;
}

void world_free(struct world *w)
{
	evaluation_free(&w->evaluation);
	arena_free(&w->arena);
}

struct digest world_key(const struct world *w)
{
	const struct graph *g = &w->graph;
	CLEANUP(freep) struct digest *keys = calloc(g->n + 1, sizeof *keys);
	CLEANUP(freep) struct digest *inputs = calloc(g->n + 1, sizeof *inputs);

	for (size_t i = 0; i < g->n; i++) {
		for (size_t k = 0; k < g->ops[i].n_inputs; k++)
			inputs[k] = keys[g->ops[i].inputs[k]];
		keys[i] = graph_key(&g->ops[i], inputs);
	}
	return keys[g->target];
}

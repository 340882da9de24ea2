#include "service/build/context_paths.h"

struct collecting {
	const struct plan *plan;
	const char *context;
	struct arena *arena;
	struct word_list paths;
	struct err *err;
};

/* `stage`: PLAN_NONE is the main context. */
static bool is_the_context(const struct collecting *c, size_t stage)
{
	const struct plan_stage *s = stage == PLAN_NONE ? NULL : &c->plan->stages[stage];

	if (!s)
		return !*c->context;
	return s->kind == PLAN_CONTEXT && !s->n_commands && !strcmp(s->base, c->context);
}

/* "/" stands for all. */
static int add(struct collecting *c, const char *path)
{
	return word_add(&c->paths, bytes_of(*path == '/' ? path + 1 : path), c->arena, c->err);
}

static int add_source(struct collecting *c, const struct copy_source *s)
{
	char *joined;

	if (!*s->pattern)
		return add(c, s->path);
	joined = arena_printf(c->arena, "%s/%s", strcmp(s->path, "/") != 0 ? s->path : "", s->pattern);
	return joined ? add(c, joined) : fail_nomem(c->err);
}

static int add_copy(struct collecting *c, const struct copy_step *s)
{
	int r = OK;

	for (size_t i = 0; r == OK && i < s->n_sources; i++) {
		const struct copy_source *source = &s->sources[i];

		if ((source->kind == SOURCE_CONTEXT || source->kind == SOURCE_STAGE) &&
		    is_the_context(c, source->stage))
			r = add_source(c, source);
	}
	return r;
}

static int add_mounts(struct collecting *c, const struct run_command *s)
{
	int r = OK;

	for (size_t i = 0; r == OK && i < s->n_mounts; i++) {
		const struct run_command_mount *rm = &s->mounts[i];
		bool tree = rm->mount.type == MOUNT_BIND || (rm->mount.type == MOUNT_CACHE && rm->stage != PLAN_NONE);

		if (tree && is_the_context(c, rm->stage))
			r = add(c, rm->mount.source);
	}
	return r;
}

/* A stage may stand upon it. */
static int add_stage(struct collecting *c, size_t at, const struct evaluated_stage *e)
{
	const struct plan_stage *s = &c->plan->stages[at];
	int r = OK;

	if (s->stage && s->kind == PLAN_CONTEXT && !s->replaced && !strcmp(s->base, c->context))
		r = add(c, "/");
	for (size_t i = 0; r == OK && i < e->n_steps; i++)
		r = e->steps[i].kind == STEP_COPY  ? add_copy(c, &e->steps[i].copy)
		    : e->steps[i].kind == STEP_RUN ? add_mounts(c, &e->steps[i].run)
						   : OK;
	return r;
}

static int by_bytes(const void *a, const void *b)
{
	const struct bytes *x = a, *y = b;
	int order = memcmp(x->data, y->data, x->len < y->len ? x->len : y->len);

	return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* Sorted, so that equal ones stand side by side and "" comes first. */
static int make_list(struct collecting *c, struct string_list *ret_paths)
{
	struct word_list *w = &c->paths;
	struct string_list list = { .items = arena_array(c->arena, w->n, sizeof *list.items) };

	if (!list.items)
		return fail_nomem(c->err);
	if (w->n)
		qsort(w->items, w->n, sizeof *w->items, by_bytes);
	for (size_t i = 0; i < w->n && (i == 0 || w->items[0].len); i++) {
		if (i && bytes_eq(w->items[i], w->items[i - 1]))
			continue;
		list.items[list.n] = arena_bytes(c->arena, w->items[i]);
		if (!list.items[list.n++])
			return fail_nomem(c->err);
	}
	*ret_paths = list;
	return OK;
}

int context_paths(const struct plan *p, const struct evaluation *e, const char *context, struct arena *a,
		  struct string_list *ret_paths, struct err *err)
{
	struct collecting c = { .plan = p, .context = context, .arena = a, .err = err };
	int r = OK;

	for (size_t i = 0; r == OK && i < e->n; i++)
		if (p->stages[i].reachable)
			r = add_stage(&c, i, &e->stages[i]);
	return r == OK ? make_list(&c, ret_paths) : r;
}

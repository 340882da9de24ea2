#include "service/build/graph.h"

#include <stdio.h>

#include "proto/runtime/hash.h"
#include "service/build/graph_digest.h"
#include "store/types/reference.h"

/* An operation that is known by what it does and to what. */
struct known {
	struct digest key; /* over `own` and the numbers of the inputs */
	size_t op;
	UT_hash_handle hh;
};

struct making {
	const struct plan *plan;
	const struct evaluation *evaluation;
	const struct graph_options *options;
	struct arena *arena;
	struct graph *graph;
	struct known *known;
	struct err *err;
};

static void known_free(struct known **known)
{
	HASH_CLEAR(hh, *known); /* the items are the arena's */
}

/* ---- operations ------------------------------------------------------------------ */

static struct digest identity_of(const struct op *op)
{
	struct hasher h;

	hasher_init(&h, DIGEST_SHA256);
	hasher_update(&h, op->own.bytes, sizeof op->own.bytes);
	hasher_update(&h, op->inputs, op->n_inputs * sizeof *op->inputs);
	return hasher_final(&h);
}

static int remember(struct making *m, const struct digest *key, size_t index)
{
	struct known *k = arena_alloc(m->arena, sizeof *k);

	if (!k)
		return fail_nomem(m->err);
	k->key = *key;
	k->op = index;
	HASH_ADD(hh, m->known, key, sizeof k->key, k);
	return HASH_ADDED(k) ? OK : fail_nomem(m->err);
}

/* The operation, or the one that is there already. */
static int add_op(struct making *m, const struct op *op, size_t *ret_index)
{
	struct graph *g = m->graph;
	struct digest key = identity_of(op);
	struct known *found;

	HASH_FIND(hh, m->known, &key, sizeof key, found);
	if (found) {
		*ret_index = found->op;
		return OK;
	}
	if (g->n >= OPS_MAX)
		return fail(m->err, E_LIMIT, "a build has at most %d steps", OPS_MAX);
	if (arena_grow(m->arena, &g->ops, g->n, &g->capacity, sizeof *g->ops, m->err) < 0)
		return E_NO_MEMORY;
	g->ops[g->n] = *op;
	*ret_index = g->n;
	return remember(m, &key, g->n++);
}

static int make_inputs(struct making *m, struct op *op, size_t max)
{
	op->inputs = arena_array(m->arena, max, sizeof *op->inputs);
	return op->inputs ? OK : fail_nomem(m->err);
}

static int add_scratch(struct making *m, size_t stage, size_t *ret_index)
{
	struct op op = { .kind = OP_SCRATCH, .own = digest_of_scratch(), .stage = stage };
	int r = make_inputs(m, &op, 0);

	return r == OK ? add_op(m, &op, ret_index) : r;
}

static int add_context(struct making *m, const char *name, size_t stage, size_t *ret_index)
{
	struct op op = { .kind = OP_CONTEXT, .own = digest_of_context(name), .stage = stage, .name = name };
	int r = make_inputs(m, &op, 0);

	return r == OK ? add_op(m, &op, ret_index) : r;
}

/* ---- titles ---------------------------------------------------------------------- */

/* Steps that count: also a base that is fetched. */
static size_t count_steps(const struct plan_stage *s)
{
	size_t n = s->kind == PLAN_IMAGE || s->kind == PLAN_CONTEXT;

	for (size_t i = 0; i < s->n_commands; i++) {
		enum instruction_kind kind = s->commands[i].instruction->kind;

		n += kind == INSTRUCTION_ADD || kind == INSTRUCTION_COPY || kind == INSTRUCTION_RUN ||
		     kind == INSTRUCTION_WORKDIR;
	}
	return n;
}

/* "linux/amd64 ", or "linux/amd64->arm64 " of a stage that builds for another one. */
static const char *platform_prefix(const struct making *m, size_t stage)
{
	const struct platform *target = &m->plan->options->target_platform;
	char text[PLATFORM_TEXT_MAX], other[PLATFORM_TEXT_MAX];
	const char *given = plan_platform(m->plan, stage, text);
	struct platform p;

	if (!m->options->show_platform || platform_parse(given, &p, NULL) < 0)
		return "";
	if (platform_eq(&p, target))
		return arena_printf(m->arena, "%s ", given);
	platform_text(target, other);
	if (!strcmp(p.os, target->os))
		return arena_printf(m->arena, "%s->%s ", given, other + strlen(target->os) + 1);
	return arena_printf(m->arena, "%s->%s ", given, other);
}

/* "[build  2/10] ONBUILD RUN make": numbers as wide as the last one. */
static int set_title(struct making *m, struct op *op, size_t number, const char *text)
{
	const struct plan_stage *s = &m->plan->stages[op->stage];
	bool on_build = op->step && op->step->on_build;
	size_t total = count_steps(s);
	int width = snprintf(NULL, 0, "%zu", total);
	const char *platform = platform_prefix(m, op->stage);

	if (!platform)
		return fail_nomem(m->err);
	op->title = arena_printf(m->arena, "[%s%s%s%*zu/%zu] %s%s", platform, s->name, *s->name ? " " : "", width,
				 number, total, on_build ? "ONBUILD " : "", text);
	return op->title ? OK : fail_nomem(m->err);
}

/* ---- bases ------------------------------------------------------------------------ */

/* As BuildKit shows it: with all that a name leaves out. */
static const char *canonical(const char *name, char out[REFERENCE_TEXT_MAX])
{
	struct reference ref;

	if (reference_parse(name, &ref, NULL) < 0)
		return name;
	if (!digest_is_set(&ref.digest))
		reference_default_tag(&ref);
	return reference_text(&ref, out);
}

static int add_image(struct making *m, size_t stage, size_t *ret_index)
{
	const struct plan_stage *s = &m->plan->stages[stage];
	const struct digest *found = m->options->images ? &m->options->images[stage] : NULL;
	char platform[PLATFORM_TEXT_MAX];
	struct op op = { .kind = OP_IMAGE, .stage = stage, .name = s->base };
	char name[REFERENCE_TEXT_MAX];
	CLEANUP(freep) char *text = format("FROM %s", canonical(s->base, name));
	int r = text ? make_inputs(m, &op, 0) : fail_nomem(m->err);

	op.own = digest_of_image(s->base, plan_platform(m->plan, stage, platform), found);
	if (r == OK && s->stage)
		r = set_title(m, &op, 1, text);
	return r == OK ? add_op(m, &op, ret_index) : r;
}

static int add_base(struct making *m, size_t stage, size_t *ret_index)
{
	const struct plan_stage *s = &m->plan->stages[stage];

	switch (s->kind) {
	case PLAN_STAGE:
		*ret_index = m->graph->tops[s->below];
		return OK;
	case PLAN_SCRATCH:
		return add_scratch(m, stage, ret_index);
	case PLAN_CONTEXT:
		return add_context(m, s->base, stage, ret_index);
	default:
		return add_image(m, stage, ret_index);
	}
}

/* The tree of a stage, of an image that has none, or of the context. */
static int tree_of(struct making *m, size_t stage, size_t here, size_t *ret_index)
{
	if (stage == PLAN_NONE)
		return add_context(m, "", here, ret_index);
	if (m->graph->tops[stage] == PLAN_NONE) {
		int r = add_base(m, stage, &m->graph->tops[stage]);

		if (r != OK)
			return r;
	}
	*ret_index = m->graph->tops[stage];
	return OK;
}

/* ---- steps ------------------------------------------------------------------------ */

static int add_source(struct making *m, const struct step *step, const struct copy_source *source, size_t stage,
		      size_t *ret_index)
{
	struct op op = { .stage = stage, .source = source };
	int r;

	if (source->kind == SOURCE_CONTEXT || source->kind == SOURCE_STAGE)
		return tree_of(m, source->stage, stage, ret_index);
	op.kind = source->kind == SOURCE_URL ? OP_URL : source->kind == SOURCE_GIT ? OP_GIT : OP_FILE;
	op.own = digest_of_source(source, &step->copy);
	r = make_inputs(m, &op, 0);
	return r == OK ? add_op(m, &op, ret_index) : r;
}

static int add_merge(struct making *m, const struct step *step, size_t stage, size_t below, size_t copy, size_t *top)
{
	struct op op = { .kind = OP_MERGE, .own = digest_of_merge(), .stage = stage, .step = step };
	int r = make_inputs(m, &op, 2);

	if (r != OK)
		return r;
	op.inputs[op.n_inputs++] = below;
	op.inputs[op.n_inputs++] = copy;
	return add_op(m, &op, top);
}

/* Owners that are names are looked up in the tree: then a copy stands on it. */
static bool stands_alone(const struct copy_step *s)
{
	return s->link && !s->chown[strspn(s->chown, "0123456789:")];
}

static int add_copy(struct making *m, const struct step *step, size_t stage, size_t number, size_t *top)
{
	const struct copy_step *s = &step->copy;
	struct op op = { .kind = OP_COPY, .stage = stage, .step = step };
	size_t below = *top, copy = 0;
	int r = make_inputs(m, &op, s->n_sources + 1);

	if (r == OK && stands_alone(s))
		r = add_scratch(m, stage, top);
	if (r != OK)
		return r;
	op.inputs[op.n_inputs++] = *top;
	for (size_t i = 0; r == OK && i < s->n_sources; i++)
		r = add_source(m, step, &s->sources[i], stage, &op.inputs[op.n_inputs++]);
	op.own = digest_of_copy(s, m->options);
	if (r == OK)
		r = set_title(m, &op, number, step->text);
	if (r == OK)
		r = add_op(m, &op, &copy);
	*top = copy;
	return r == OK && stands_alone(s) ? add_merge(m, step, stage, below, copy, top) : r;
}

static bool has_tree(const struct run_command_mount *rm)
{
	return rm->mount.type == MOUNT_BIND || (rm->mount.type == MOUNT_CACHE && rm->stage != PLAN_NONE);
}

static int add_run(struct making *m, const struct step *step, size_t stage, size_t number, size_t *top)
{
	const struct run_command *s = &step->run;
	struct op op = { .kind = OP_RUN, .stage = stage, .step = step };
	char platform[PLATFORM_TEXT_MAX];
	int r = make_inputs(m, &op, s->n_mounts + 1);

	if (r != OK)
		return r;
	op.inputs[op.n_inputs++] = *top;
	for (size_t i = 0; r == OK && i < s->n_mounts; i++)
		if (has_tree(&s->mounts[i]))
			r = tree_of(m, s->mounts[i].stage, stage, &op.inputs[op.n_inputs++]);
	op.own = digest_of_run(step, plan_platform(m->plan, stage, platform), m->options);
	if (r == OK)
		r = set_title(m, &op, number, step->text);
	return r == OK ? add_op(m, &op, top) : r;
}

static int add_directory(struct making *m, const struct step *step, size_t stage, size_t number, size_t *top)
{
	struct op op = {
		.kind = OP_DIRECTORY, .own = digest_of_directory(step, m->options), .stage = stage, .step = step
	};
	int r = make_inputs(m, &op, 1);

	if (r != OK)
		return r;
	op.inputs[op.n_inputs++] = *top;
	r = set_title(m, &op, number, step->text);
	return r == OK ? add_op(m, &op, top) : r;
}

/* ---- stages ------------------------------------------------------------------------ */

static int add_stage(struct making *m, size_t stage)
{
	const struct evaluated_stage *e = &m->evaluation->stages[stage];
	const struct plan_stage *s = &m->plan->stages[stage];
	size_t number = s->kind == PLAN_IMAGE || s->kind == PLAN_CONTEXT, top = PLAN_NONE;
	int r = add_base(m, stage, &top);

	for (size_t i = 0; r == OK && i < e->n_steps; i++) {
		const struct step *step = &e->steps[i];

		number++;
		if (step->kind == STEP_RUN)
			r = add_run(m, step, stage, number, &top);
		else if (step->kind == STEP_COPY)
			r = add_copy(m, step, stage, number, &top);
		else
			r = add_directory(m, step, stage, number, &top);
	}
	m->graph->tops[stage] = top;
	return r;
}

int graph_make(const struct plan *p, const struct evaluation *e, const struct graph_options *options, struct arena *a,
	       struct graph *ret_graph, struct err *err)
{
	struct err ignored = ERR_INIT;
	struct graph g = { .n = 0 };
	struct making m = { .plan = p, .evaluation = e, .options = options, .arena = a, .graph = &g };
	int r = OK;

	m.err = err ? err : &ignored;
	g.tops = arena_array(a, p->n, sizeof *g.tops);
	if (!g.tops)
		return fail_nomem(err);
	for (size_t i = 0; i < p->n; i++)
		g.tops[i] = PLAN_NONE;
	for (size_t i = 0; r == OK && i < p->n; i++)
		if (p->stages[i].reachable && p->stages[i].stage)
			r = add_stage(&m, i);
	known_free(&m.known);
	if (r != OK)
		return arena_verdict(a, r, m.err);
	g.target = g.tops[p->target];
	*ret_graph = g;
	return OK;
}

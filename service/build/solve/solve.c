#include "service/build/solve/failed.h"
#include "service/build/solve/schedule.h"
#include "service/build/solve/step_run.h"

/* What a solution holds: results stay pinned as long as it lives. */
struct solution_pins {
	struct solver *solver;
	struct flight **flights;
	struct digest *found;
	size_t n_flights, n_found;
};

/* ---- the order --------------------------------------------------------------------- */

/* Backwards: inputs come before what takes them. */
static void mark_needed(struct solving *b)
{
	const struct graph *g = b->request->graph;

	b->ops[g->target].state = STATE_WAITING;
	for (size_t i = g->target + 1; i; i--) {
		const struct op *op = &g->ops[i - 1];

		for (size_t k = 0; b->ops[i - 1].state == STATE_WAITING && k < op->n_inputs; k++)
			b->ops[op->inputs[k]].state = STATE_WAITING;
	}
}

/* Of each operation those that take it, one list behind the other. */
static int list_consumers(struct solving *b, struct err *err)
{
	const struct graph *g = b->request->graph;
	size_t total = 0;

	b->first_consumer = calloc(g->n + 2, sizeof *b->first_consumer);
	if (!b->first_consumer)
		return fail_nomem(err);
	for (size_t i = 0; i < g->n; i++)
		for (size_t k = 0; b->ops[i].state == STATE_WAITING && k < g->ops[i].n_inputs; k++, total++)
			b->first_consumer[g->ops[i].inputs[k] + 2]++;
	b->consumers = calloc(total + 1, sizeof *b->consumers);
	if (!b->consumers)
		return fail_nomem(err);
	for (size_t i = 2; i < g->n + 2; i++)
		b->first_consumer[i] += b->first_consumer[i - 1];
	for (size_t i = 0; i < g->n; i++)
		for (size_t k = 0; b->ops[i].state == STATE_WAITING && k < g->ops[i].n_inputs; k++)
			b->consumers[b->first_consumer[g->ops[i].inputs[k] + 1]++] = i;
	return OK;
}

static int name_op(struct solving *b, size_t i, struct err *err)
{
	const struct op *op = &b->request->graph->ops[i];
	CLEANUP(freep) struct digest *inputs = calloc(op->n_inputs + 1, sizeof *inputs);

	if (!inputs)
		return fail_nomem(err);
	for (size_t k = 0; k < op->n_inputs; k++)
		inputs[k] = b->ops[op->inputs[k]].id;
	b->ops[i].id = graph_key(op, inputs);
	return OK;
}

/* A context that is an image has no files of its own. */
static int find_context(struct solving *b, struct solving_op *o, struct err *err)
{
	const struct solve_request *q = b->request;
	const char *name = o->op->name;

	if (*name && q->images && q->images[o->op->stage])
		return OK;
	for (size_t i = 0; i < q->n_contexts && !o->named; i++)
		if (!strcmp(q->contexts[i].name, name))
			o->named = &q->contexts[i];
	return o->named ? OK : fail(err, E_INVALID, "the build has no context%s%s", *name ? " " : "", name);
}

static int prepare_op(struct solving *b, size_t i, struct err *err)
{
	struct solving_op *o = &b->ops[i];

	o->missing = o->op->n_inputs;
	b->left++;
	b->failed = o;
	if (name_op(b, i, err) < 0 || (o->op->kind == OP_CONTEXT && find_context(b, o, err) < 0) ||
	    (o->op->kind == OP_RUN && step_run_check(b->request, &o->op->step->run, err) < 0))
		return err->code;
	b->failed = NULL;
	return OK;
}

static int prepare_ops(struct solving *b, struct err *err)
{
	const struct graph *g = b->request->graph;

	b->ops = calloc(g->n, sizeof *b->ops);
	b->ready = calloc(g->n, sizeof *b->ready);
	if (!b->ops || !b->ready)
		return fail_nomem(err);
	b->capacity = g->n;
	for (size_t i = 0; i < g->n; i++) {
		b->ops[i].build = b;
		b->ops[i].op = &g->ops[i];
	}
	mark_needed(b);
	for (size_t i = 0; i < g->n; i++)
		if (b->ops[i].state == STATE_WAITING && prepare_op(b, i, err) < 0)
			return err->code;
	return list_consumers(b, err);
}

/* Of a context that others stand on. */
static bool is_base(const struct solving_op *o)
{
	const struct solving *b = o->build;
	size_t i = (size_t)(o - b->ops);

	for (size_t k = b->first_consumer[i]; k < b->first_consumer[i + 1]; k++)
		if (b->ops[b->consumers[k]].op->inputs[0] == i)
			return true;
	return i == b->request->graph->target;
}

bool solving_makes_layer(const struct solving_op *o)
{
	switch (o->op->kind) {
	case OP_COPY:
	case OP_RUN:
	case OP_DIRECTORY:
		return true;
	default:
		return o->named && is_base(o);
	}
}

/* ---- begin and end -------------------------------------------------------------------- */

static int prepare(struct solving *b, struct err *err)
{
	const struct solver_options *o = &b->solver->options;

	pthread_mutex_init(&b->mu, NULL);
	pthread_mutex_init(&b->workers_mu, NULL);
	pthread_cond_init(&b->work, NULL);
	pthread_cond_init(&b->changed, NULL);
	b->cancel = cancel_new();
	if (!b->cancel)
		return fail_nomem(err);
	if (layer_workers_new(o->worker_program, 0, &b->workers, err) < 0 ||
	    committer_new(o->cache, &b->committer, err) < 0 || explainer_new(b, &b->explainer, err) < 0)
		return err->code;
	return prepare_ops(b, err);
}

static void release(struct solving *b)
{
	for (size_t i = 0; b->ops && i < b->request->graph->n; i++) {
		struct solving_op *o = &b->ops[i];

		build_tree_unref(o->tree);
		build_layer_unref(o->layer);
		flight_unref(o->participant.flight);
		for (size_t k = 0; k < o->n_pins; k++)
			step_cache_unpin(b->solver->options.cache, &o->pins[k]);
		free(o->pins);
		free(o->stack);
		if (o->owns_context)
			build_context_close(o->context, NULL);
	}
	explainer_free(b->explainer);
	layer_workers_unref(b->workers);
	cancel_unref(b->cancel);
	free(b->ops);
	free(b->ready);
	free(b->consumers);
	free(b->first_consumer);
	pthread_cond_destroy(&b->work);
	pthread_cond_destroy(&b->changed);
	pthread_mutex_destroy(&b->workers_mu);
	pthread_mutex_destroy(&b->mu);
}

/* ---- the solution ------------------------------------------------------------------------ */

/* What other builds made for this one is in the cache when it is theirs to say so. */
static int wait_for_others(struct solving *b, struct err *err)
{
	for (size_t i = 0; i < b->request->graph->n; i++) {
		struct flight *f = b->ops[i].participant.flight;

		if (f && b->ops[i].state == STATE_DONE && flight_wait_kept(f, b->request->cancel, err) < 0)
			return err->code;
	}
	return OK;
}

static void add_step(struct solution *s, struct solving_op *o)
{
	struct solved_step *step = &s->steps[s->n_steps++];

	*step = (struct solved_step){ .n_keys = o->n_keys, .op = o->op, .layer = TAKE(o->layer) };
	memcpy(step->keys, o->keys, sizeof step->keys);
	if (o->participant.flight)
		s->pins->flights[s->pins->n_flights++] = TAKE(o->participant.flight);
	for (; o->n_pins; o->n_pins--)
		s->pins->found[s->pins->n_found++] = o->pins[o->n_pins - 1];
}

static size_t count_pins(const struct solving *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->request->graph->n; i++)
		n += b->ops[i].n_pins;
	return n;
}

static int fill(struct solving *b, struct solution *s, struct err *err)
{
	size_t n = b->request->graph->n;

	s->steps = calloc(n, sizeof *s->steps);
	s->pins = calloc(1, sizeof *s->pins);
	if (!s->steps || !s->pins)
		return fail_nomem(err);
	s->pins->solver = b->solver;
	s->pins->flights = calloc(n, sizeof(struct flight *));
	s->pins->found = calloc(count_pins(b) + 1, sizeof *s->pins->found);
	if (!s->pins->flights || !s->pins->found)
		return fail_nomem(err);
	for (size_t i = 0; i < n; i++)
		if (b->ops[i].state == STATE_DONE && b->ops[i].layer)
			add_step(s, &b->ops[i]);
	s->tree = TAKE(b->ops[b->request->graph->target].tree);
	return OK;
}

static int check_target(struct solving *b, struct err *err)
{
	return b->ops[b->request->graph->target].tree ? OK : fail(err, E_INTERNAL, "the target has no files");
}

static void place_failure(const struct solving *b, struct solution *s)
{
	if (b->failed && b->failed->op->step)
		s->place = b->failed->op->step->instruction->place;
	else if (b->failed)
		s->place = b->request->plan->stages[b->failed->op->stage].place;
}

/* All that was made goes into the cache, whatever became of the build. */
static int finish(struct solving *b, int r, struct solution *s, struct err *err)
{
	struct err why = ERR_INIT;
	int kept = committer_close(b->committer, &why);

	explainer_keep(b->explainer);
	if (r != OK) {
		place_failure(b, s);
		return r;
	}
	if (kept != OK)
		return fail(err, kept, "%s", why.text);
	if (wait_for_others(b, err) < 0 || check_target(b, err) < 0)
		return err->code;
	return fill(b, s, err);
}

/* Of a client. The daemon's own stays, for the next step. */
static void forget_cgroup_parent(const struct solving *b)
{
	const char *own = b->solver->options.run->cgroup_parent, *parent = b->request->cgroup_parent;

	if (parent && *parent && strcmp(parent, own ? own : "") != 0)
		run_forget_parent(parent);
}

int solve(struct solver *s, const struct solve_request *request, struct solution *ret_solution, struct err *err)
{
	struct solving b = { .solver = s, .request = request, .solution = ret_solution };
	struct err ignored = ERR_INIT;
	int r;

	err = err ? err : &ignored;
	*ret_solution = (struct solution){ .n_steps = 0 };
	r = prepare(&b, err);
	if (r == OK)
		r = solving_run(&b, err);
	r = finish(&b, r, ret_solution, err);
	forget_cgroup_parent(&b);
	release(&b);
	return r;
}

void solution_free(struct solution *s)
{
	struct solution_pins *pins = s->pins;

	for (size_t i = 0; i < s->n_steps; i++)
		build_layer_unref(s->steps[i].layer);
	free(s->steps);
	build_tree_unref(s->tree);
	for (size_t i = 0; pins && i < pins->n_flights; i++)
		flight_unref(pins->flights[i]);
	for (size_t i = 0; pins && i < pins->n_found; i++)
		step_cache_unpin(pins->solver->options.cache, &pins->found[i]);
	if (pins) {
		free(pins->flights);
		free(pins->found);
		free(pins);
	}
	solve_failed_free(s->failed);
	*s = (struct solution){ .n_steps = 0 };
}

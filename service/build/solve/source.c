/* Operations that make no layer: bases, contexts, URLs, repositories, here-documents, joined trees. */
#include "service/build/copy/copy_sources.h"
#include "service/build/solve/stack.h"
#include "service/registry/url.h"

/* ---- files of others -------------------------------------------------------------- */

static void tell(void *arg, const char *what, int64_t current, int64_t total)
{
	CLEANUP(freep) char *shown = url_masked(what);
	struct solving_op *o = arg;

	if (shown)
		vertex_status(o->vertex, shown, current, total, total && current == total);
}

static struct source_env env_of(struct solving_op *o, struct cancel *cancel)
{
	const struct solver_options *s = &o->build->solver->options;
	const struct solve_request *q = o->build->request;

	return (struct source_env){
		.store = s->store,
		.registry = s->registry,
		.cache = s->cache,
		.worker_program = s->worker_program,
		.cancel = cancel,
		.no_cache = q->no_cache,
		.has_epoch = q->has_epoch,
		.epoch = q->epoch,
		.progress = tell,
		.arg = o,
	};
}

/* The COPY or ADD that it is a source of. */
static const struct copy_step *step_of(const struct solving_op *o)
{
	const struct solving *b = o->build;
	size_t i = (size_t)(o - b->ops);

	return &b->ops[b->consumers[b->first_consumer[i]]].op->step->copy;
}

static char *title_of(const struct op *op)
{
	return url_masked(op->kind == OP_URL ? op->source->url : op->source->git.remote);
}

static int identify(struct solving_op *o, struct err *err)
{
	struct source_env env = env_of(o, o->build->cancel);
	CLEANUP(freep) char *title = o->op->kind != OP_FILE ? title_of(o->op) : NULL;
	int r;

	if (title)
		o->vertex = progress_begin(o->build->request->progress, title, &o->id);
	r = source_identify(&env, o->op->source, step_of(o), &o->identity, &o->context, err);
	o->owns_context = o->context != NULL;
	return r;
}

/* With the build's lock: whether this thread is to open it. */
static int wait_until_open(struct solving_op *o, struct cancel *cancel, bool *ret_mine, struct err *err)
{
	int r = OK;

	while (o->opening && (r = cancel_check(cancel, err)) == OK)
		pthread_cond_wait(&o->build->changed, &o->build->mu);
	*ret_mine = r == OK && !o->context;
	o->opening = o->opening || *ret_mine;
	return r;
}

static void opened(struct solving_op *o, struct build_context *context)
{
	pthread_mutex_lock(&o->build->mu);
	o->opening = false;
	o->context = context;
	o->owns_context = context != NULL;
	pthread_cond_broadcast(&o->build->changed);
	pthread_mutex_unlock(&o->build->mu);
}

int source_context(struct solving_op *o, struct cancel *cancel, struct build_context **ret_context, struct err *err)
{
	struct source_env env = env_of(o, cancel);
	struct build_context *context = NULL;
	bool mine;
	int r;

	env.progress = NULL; /* its vertex has ended */
	pthread_mutex_lock(&o->build->mu);
	r = wait_until_open(o, cancel, &mine, err);
	pthread_mutex_unlock(&o->build->mu);
	if (r != OK)
		return r;
	if (mine) {
		r = source_open(&env, o->op->source, step_of(o), &context, err);
		opened(o, r == OK ? context : NULL);
		if (r != OK)
			return r;
	}
	*ret_context = o->context;
	return build_context_wait(o->context, cancel, err);
}

/* ---- trees ------------------------------------------------------------------------ */

/* COPY --link: the copy's layers on the tree, whatever is in it. */
static int merge(struct solving_op *o, struct err *err)
{
	const struct build_tree *over = input_of(o, 1)->tree;
	struct build_tree *t = build_tree_ref(input_of(o, 0)->tree);

	for (size_t i = 0; i < build_tree_count(over); i++) {
		struct build_tree *pushed;
		int r = build_tree_push(t, build_tree_layer(over, i), &pushed, err);

		build_tree_unref(t);
		if (r != OK)
			return r;
		t = pushed;
	}
	o->tree = t;
	o->symbol = graph_key(o->op, (struct digest[]){ input_of(o, 0)->symbol, input_of(o, 1)->symbol });
	return stack_join(o, err);
}

static int take_image(struct solving_op *o, struct err *err)
{
	struct build_tree *t = o->build->request->images[o->op->stage];

	if (!t)
		return fail(err, E_INTERNAL, "the image %s was not looked up", o->op->name);
	o->tree = build_tree_ref(t);
	return OK;
}

static int solve_now(struct solving_op *o, struct err *err)
{
	switch (o->op->kind) {
	case OP_SCRATCH:
		return build_tree_new(NULL, 0, &o->tree, err);
	case OP_IMAGE:
		return take_image(o, err);
	case OP_CONTEXT:
		return o->named ? OK : take_image(o, err);
	case OP_MERGE:
		return merge(o, err);
	default:
		return identify(o, err);
	}
}

void source_solve(struct solving_op *o)
{
	struct err err = ERR_INIT;

	if (solve_now(o, &err) < 0) {
		solving_failed(o, &err);
		return;
	}
	if (o->tree && o->op->kind != OP_MERGE)
		o->symbol = *build_tree_chain(o->tree);
	if (o->vertex)
		vertex_done(TAKE(o->vertex));
	solving_done(o);
}

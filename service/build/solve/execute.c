#include "service/build/solve/execute.h"

#include "proto/runtime/clock.h"

int execution_enter(struct execution *x, struct err *err)
{
	int r = solver_enter(x->in->op->build->solver, x->in->cancel, err);

	x->entered = r == OK;
	return r;
}

void execution_leave(struct execution *x)
{
	if (x->entered)
		solver_leave(x->in->op->build->solver);
	x->entered = false;
}

int execution_begin_layer(const struct execution *x, struct build_layer_writer **ret_writer, struct err *err)
{
	const struct solving *b = x->in->op->build;
	const struct solver_options *o = &b->solver->options;

	return build_layer_begin(o->store, b->workers, o->layer_files, ret_writer, err);
}

/* Without a permit: a server or a client that is slow holds up no other build. */
static int open_sources(struct execution *x, struct err *err)
{
	const struct op *op = x->in->op->op;

	for (size_t i = 1; op->kind == OP_COPY && i < op->n_inputs; i++)
		if (inputs_files(x->in, i, err) < 0)
			return err->code;
	return OK;
}

static int write_copy(struct execution *x, struct build_layer_writer *w, struct err *err)
{
	struct copy_job job = inputs_copy_job(x->in, clock_wall_ns());

	if (inputs_view(x->in, 0, &job.into, err) < 0)
		return err->code;
	return copy_layer(&job, build_layer_write, w, err);
}

static int write_directory(struct execution *x, struct build_layer_writer *w, struct err *err)
{
	const struct solving *b = x->in->op->build;
	const struct step *step = x->in->op->op->step;
	struct directory_job job = {
		.path = step->cwd,
		.user = step->user,
		.now_ns = clock_wall_ns(),
		.has_epoch = b->request->has_epoch,
		.epoch = b->request->epoch,
		.cancel = x->in->cancel,
	};

	if (inputs_view(x->in, 0, &job.into, err) < 0)
		return err->code;
	return directory_layer(&job, build_layer_write, w, err);
}

/* A context that stands for an image: all of its files. */
static int write_context(struct execution *x, struct build_layer_writer *w, struct err *err)
{
	const struct solve_context *named = x->in->op->named;
	struct copy_files files = { .context = named->context,
				    .ignore = named->ignore,
				    .ignore_name = named->ignore_name };

	return copy_subtree_layer(&files, "/", x->in->cancel, build_layer_write, w, err);
}

static int write_layer(struct execution *x, struct build_layer_writer *w, struct err *err)
{
	switch (x->in->op->op->kind) {
	case OP_COPY:
		return write_copy(x, w, err);
	case OP_DIRECTORY:
		return write_directory(x, w, err);
	default:
		return write_context(x, w, err);
	}
}

/* One worker is ready when the first layer is; no layer begins before it was started. */
static void expect_layers(struct solving *b)
{
	pthread_mutex_lock(&b->workers_mu);
	if (!b->expecting)
		layer_workers_start(b->workers);
	b->expecting = true;
	pthread_mutex_unlock(&b->workers_mu);
}

int execute(struct execution *x, struct build_layer **ret_layer, struct err *err)
{
	struct build_layer_writer *w;
	int r;

	expect_layers(x->in->op->build);
	if (x->in->op->op->kind == OP_RUN)
		return execute_run(x, ret_layer, err);
	if (open_sources(x, err) < 0 || execution_enter(x, err) < 0 || execution_begin_layer(x, &w, err) < 0)
		return err->code;
	r = write_layer(x, w, err);
	if (r == OK)
		return build_layer_end(w, clock_wall_ns(), x->in->cancel, ret_layer, err);
	build_layer_abandon(w);
	return r;
}

#include "service/build/solve/inputs.h"

int inputs_new(struct solving_op *o, struct cancel *cancel, struct inputs *ret_inputs, struct err *err)
{
	size_t n = o->op->n_inputs;
	struct inputs in = {
		.op = o,
		.cancel = cancel,
		.views = calloc(n + 1, sizeof(struct tree_view *)),
		.files = calloc(n + 1, sizeof(struct copy_files)),
		.digests = calloc(n + 1, sizeof(struct digest)),
	};

	*ret_inputs = in;
	return in.views && in.files && in.digests ? OK : fail_nomem(err);
}

void inputs_free(struct inputs *in)
{
	for (size_t i = 0; in->views && i < in->op->op->n_inputs; i++)
		tree_view_close(in->views[i]);
	free(in->views);
	free(in->files);
	free(in->digests);
}

/* ---- views ------------------------------------------------------------------------ */

static int open_view(const struct build_tree *t, struct cancel *cancel, struct tree_view **ret_view, struct err *err)
{
	CLEANUP(freep) int *fds = NULL;
	size_t n;

	if (build_tree_open(t, cancel, &fds, &n, err) < 0)
		return err->code;
	return tree_view_open(fds, n, true, cancel, ret_view, err);
}

/* Several sources may be of one stage. */
static struct tree_view *opened_before(const struct inputs *in, size_t input)
{
	for (size_t i = 0; i < in->op->op->n_inputs; i++)
		if (in->views[i] && in->op->op->inputs[i] == in->op->op->inputs[input])
			return in->views[i];
	return NULL;
}

int inputs_view(struct inputs *in, size_t input, struct tree_view **ret_view, struct err *err)
{
	struct tree_view *view = opened_before(in, input);

	if (!view) {
		if (open_view(input_of(in->op, input)->tree, in->cancel, &view, err) < 0)
			return err->code;
		in->views[input] = view;
	}
	*ret_view = view;
	return OK;
}

/* ---- files ------------------------------------------------------------------------ */

int inputs_files(struct inputs *in, size_t input, struct err *err)
{
	struct solving_op *from = input_of(in->op, input);
	struct copy_files *files = &in->files[input - 1];

	if (files->context || files->view)
		return OK;
	if (from->named) {
		*files = (struct copy_files){ .context = from->named->context,
					      .ignore = from->named->ignore,
					      .ignore_name = from->named->ignore_name };
		return build_context_wait(files->context, in->cancel, err);
	}
	if (from->tree)
		return inputs_view(in, input, &files->view, err);
	return source_context(from, in->cancel, &files->context, err);
}

struct copy_job inputs_copy_job(const struct inputs *in, int64_t now_ns)
{
	const struct solving *b = in->op->build;

	return (struct copy_job){
		.step = &in->op->op->step->copy,
		.files = in->files,
		.now_ns = now_ns,
		.has_epoch = b->request->has_epoch,
		.epoch = b->request->epoch,
		.store = b->solver->options.store,
		.worker_program = b->solver->options.worker_program,
		.cancel = in->cancel,
	};
}

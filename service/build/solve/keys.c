#include "service/build/solve/keys.h"

static const struct digest nothing;

/* The mount that an input of a RUN is for. */
static const struct run_command_mount *mount_of(const struct op *op, size_t input)
{
	const struct run_command *run = &op->step->run;
	size_t at = 0;

	for (size_t i = 0; i < run->n_mounts; i++) {
		const struct run_command_mount *m = &run->mounts[i];

		if (m->mount.type != MOUNT_BIND && (m->mount.type != MOUNT_CACHE || m->stage == PLAN_NONE))
			continue;
		if (++at == input)
			return m;
	}
	return NULL;
}

/* What a cache begins with is no part of what the step makes. */
static bool counts(const struct op *op, size_t input)
{
	return op->kind != OP_RUN || mount_of(op, input)->mount.type == MOUNT_BIND;
}

static bool is_identified(const struct solving_op *from)
{
	return from->op->kind == OP_URL || from->op->kind == OP_GIT || from->op->kind == OP_FILE;
}

static struct digest digest_below(const struct inputs *in)
{
	return in->op->op->n_inputs ? *build_tree_chain(input_of(in->op, 0)->tree) : nothing;
}

/* The operation's own digest has no more of a source than its name. */
static struct digest digest_of_path(const struct op *op, size_t input, const struct digest *chain)
{
	struct hasher h;

	if (op->kind != OP_COPY)
		return *chain;
	hasher_init(&h, DIGEST_SHA256);
	hasher_update(&h, chain, sizeof *chain);
	hasher_update(&h, op->step->copy.sources[input - 1].path, strlen(op->step->copy.sources[input - 1].path));
	return hasher_final(&h);
}

bool keys_of_definition(const struct inputs *in, struct digest *ret_key)
{
	const struct op *op = in->op->op;
	struct digest *digests = in->digests;

	if (op->kind == OP_CONTEXT)
		return false;
	digests[0] = digest_below(in);
	for (size_t i = 1; i < op->n_inputs; i++) {
		const struct solving_op *from = input_of(in->op, i);

		if (!counts(op, i))
			digests[i] = nothing;
		else if (is_identified(from))
			digests[i] = from->identity;
		else if (from->named)
			return false;
		else
			digests[i] = digest_of_path(op, i, build_tree_chain(from->tree));
	}
	*ret_key = graph_key(op, digests);
	return true;
}

struct digest keys_symbol_of_input(const struct inputs *in, size_t input)
{
	const struct op *op = in->op->op;
	const struct solving_op *from = input_of(in->op, input);

	if (!input)
		return from->symbol;
	if (!counts(op, input))
		return nothing;
	if (is_identified(from))
		return from->identity;
	return from->named ? in->digests[input] : digest_of_path(op, input, &from->symbol);
}

static int digest_contents(struct inputs *in, size_t input, struct err *err)
{
	const struct op *op = in->op->op;
	const struct solving_op *from = input_of(in->op, input);
	struct copy_job job;

	if (!counts(op, input)) {
		in->digests[input] = nothing;
		return OK;
	}
	if (is_identified(from)) {
		in->digests[input] = from->identity;
		return OK;
	}
	if (inputs_files(in, input, err) < 0)
		return err->code;
	if (op->kind == OP_RUN)
		return copy_mount_digest(&in->files[input - 1], mount_of(op, input)->mount.source, in->cancel,
					 &in->digests[input], err);
	job = inputs_copy_job(in, 0);
	return copy_source_digest(&job, input - 1, &in->digests[input], err);
}

/* A context that stands for an image. */
static int digest_context(struct inputs *in, struct digest *ret_key, struct err *err)
{
	const struct solve_context *named = in->op->named;
	struct copy_files files = { .context = named->context,
				    .ignore = named->ignore,
				    .ignore_name = named->ignore_name };
	struct digest both[2] = { in->op->op->own, nothing };
	struct hasher h;

	if (build_context_wait(files.context, in->cancel, err) < 0 ||
	    copy_mount_digest(&files, "/", in->cancel, &both[1], err) < 0)
		return err->code;
	hasher_init(&h, DIGEST_SHA256);
	hasher_update(&h, both, sizeof both);
	*ret_key = hasher_final(&h);
	return OK;
}

int keys_of_contents(struct inputs *in, struct digest *ret_key, struct err *err)
{
	const struct op *op = in->op->op;

	if (op->kind == OP_CONTEXT)
		return digest_context(in, ret_key, err);
	in->digests[0] = digest_below(in);
	for (size_t i = 1; i < op->n_inputs; i++)
		if (digest_contents(in, i, err) < 0)
			return err->code;
	*ret_key = graph_key(op, in->digests);
	return OK;
}

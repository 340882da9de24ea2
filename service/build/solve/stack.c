#include "service/build/solve/stack.h"

#include "service/build/solve/keys.h"

/* ---- names ------------------------------------------------------------------------- */

struct digest symbol_of(const struct inputs *in)
{
	const struct op *op = in->op->op;
	CLEANUP(freep) struct digest *inputs = calloc(op->n_inputs + 1, sizeof *inputs);
	struct digest none = { .algorithm = DIGEST_NONE };

	for (size_t i = 0; inputs && i < op->n_inputs; i++)
		inputs[i] = keys_symbol_of_input(in, i);
	return inputs ? graph_key(op, inputs) : none;
}

static struct digest digest_of_two(const char *what, const struct digest *a, const struct digest *b)
{
	struct hasher h;

	hasher_init(&h, DIGEST_SHA256);
	hasher_update(&h, what, strlen(what) + 1);
	hasher_update(&h, a, sizeof *a);
	hasher_update(&h, b, sizeof *b);
	return hasher_final(&h);
}

struct digest result_name(const struct digest *symbol, const struct build_layer *l)
{
	return digest_of_two("result", symbol, &build_layer_result(l)->diff_id);
}

struct digest stack_note_key(const struct digest *name)
{
	return digest_of_two("stack", name, name);
}

/* ---- stacks -------------------------------------------------------------------------- */

static int set_stack(struct solving_op *o, const struct digest *a, size_t n_a, const struct digest *b, size_t n_b,
		     struct err *err)
{
	o->stack = calloc(n_a + n_b + 1, sizeof *o->stack);
	if (!o->stack)
		return fail_nomem(err);
	if (n_a)
		memcpy(o->stack, a, n_a * sizeof *a);
	if (n_b)
		memcpy(o->stack + n_a, b, n_b * sizeof *b);
	o->n_stack = n_a + n_b;
	return OK;
}

int stack_push(struct solving_op *o, struct err *err)
{
	const struct solving_op *below = o->op->n_inputs ? input_of(o, 0) : NULL;
	struct digest name = result_name(&o->symbol, o->layer);

	return set_stack(o, below ? below->stack : NULL, below ? below->n_stack : 0, &name, 1, err);
}

int stack_join(struct solving_op *o, struct err *err)
{
	const struct solving_op *below = input_of(o, 0), *over = input_of(o, 1);

	return set_stack(o, below->stack, below->n_stack, over->stack, over->n_stack, err);
}

/* ---- finding --------------------------------------------------------------------------- */

static int add_pin(struct solving_op *o, const struct digest *key, struct err *err)
{
	struct digest *more = reallocarray(o->pins, o->n_pins + 1, sizeof *more);

	if (!more) {
		step_cache_unpin(o->build->solver->options.cache, key);
		return fail_nomem(err);
	}
	o->pins = more;
	o->pins[o->n_pins++] = *key;
	return OK;
}

int stack_find_layer(struct solving_op *o, const struct digest *key, struct build_layer **ret_layer, struct err *err)
{
	const struct solver_options *s = &o->build->solver->options;
	struct step_result result;
	struct err why = ERR_INIT;
	int r = step_cache_find(s->cache, key, &result, &why);

	if (r == E_NOT_FOUND)
		return 0;
	if (r != OK)
		return fail(err, r, "%s", why.text);
	if (add_pin(o, key, err) < 0 || build_layer_stored(s->layer_files, &result, ret_layer, err) < 0)
		return E_NO_MEMORY;
	return 1;
}

/* The layers that are not of a step. */
static int push_base(const struct solving_op *below, struct build_layer **layers, size_t *n)
{
	size_t n_base = build_tree_count(below->tree) - below->n_stack;

	for (size_t i = 0; i < n_base; i++)
		layers[(*n)++] = build_layer_ref(build_tree_layer(below->tree, i));
	return OK;
}

static int read_stack(struct solving_op *o, const struct digest *name, struct buf *ret_names)
{
	struct digest key = stack_note_key(name);

	return step_cache_note(o->build->solver->options.cache, &key, ret_names, NULL) == OK &&
	       !(ret_names->len % sizeof(struct digest));
}

/* 1: all of them are there. */
static int find_all(struct solving_op *o, const struct buf *names, struct build_layer **layers, size_t *n,
		    struct err *err)
{
	for (size_t at = 0; at < names->len; at += sizeof(struct digest)) {
		struct digest name;
		int r;

		memcpy(&name, names->data + at, sizeof name);
		r = stack_find_layer(o, &name, &layers[*n], err);
		if (r != 1)
			return r;
		(*n)++;
	}
	return 1;
}

static int find_tree(struct solving_op *o, const struct digest *name, struct err *err)
{
	const struct solving_op *below = input_of(o, 0);
	CLEANUP(buf_free) struct buf names = BUF_INIT(STEP_NOTE_MAX);
	struct build_layer **layers;
	size_t n = 0;
	int r;

	if (!read_stack(o, name, &names))
		return 0;
	layers = calloc(build_tree_count(below->tree) + names.len / sizeof(struct digest) + 1,
			sizeof(struct build_layer *));
	if (!layers)
		return fail_nomem(err);
	push_base(below, layers, &n);
	r = find_all(o, &names, layers, &n, err);
	if (r == 1) {
		layers[n++] = build_layer_ref(o->layer);
		r = build_tree_new(layers, n, &o->tree, err) < 0 ? E_LIMIT : 1;
	}
	if (r == 1 && set_stack(o, (const struct digest *)names.data, names.len / sizeof(struct digest), name, 1, err))
		r = E_NO_MEMORY;
	for (size_t i = 0; i < n; i++)
		build_layer_unref(layers[i]);
	free(layers);
	return r;
}

int stack_find(struct solving_op *o, struct err *err)
{
	struct digest name;
	int r = o->op->n_inputs ? stack_find_layer(o, &o->symbol, &o->layer, err) : 0;

	if (r != 1)
		return r;
	name = result_name(&o->symbol, o->layer);
	r = find_tree(o, &name, err);
	if (r != 1) {
		build_layer_unref(TAKE(o->layer));
		build_tree_unref(TAKE(o->tree));
	}
	return r;
}

/* Fields of structs, keys of maps, and methods. */
#include "client/cli/template/exec.h"
#include "client/cli/value/print.h"

const struct arguments eval_no_arguments;

static const char *type_name(struct value v, char out[128])
{
	return v.boxed ? "interface {}" : value_type_name(v, out);
}

bool eval_has_arguments(const struct arguments *a)
{
	return a->n || a->final;
}

static int missing_key(struct exec *x, struct text name, struct value *ret_value)
{
	CLEANUP(buf_free) struct buf quoted = BUF_INIT(ERR_TEXT_MAX);

	*ret_value = value_none();
	if (!x->options->missing_key_error)
		return OK;
	print_quoted(&quoted, name);
	return exec_fail(x, "map has no entry for key %s", buf_text(&quoted));
}

static int eval_map_key(struct exec *x, struct value map, struct text name, const struct arguments *args,
			struct value *ret_value)
{
	struct value v;

	if (eval_has_arguments(args))
		return exec_fail(x, "%.*s is not a method but has arguments", (int)name.len, name.data);
	if (!value_lookup(map, name, &v))
		return missing_key(x, name, ret_value);
	v.boxed = !map.type->elem;
	*ret_value = v;
	return OK;
}

static bool is_method(struct value v, struct text name)
{
	for (size_t i = 0; i < v.type->n_fields; i++)
		if (text_eq(text_of(v.type->fields[i].name), name))
			return v.type->fields[i].method;
	return false;
}

static int fail_method_arguments(struct exec *x, struct text name, const struct arguments *args)
{
	return exec_fail(x, "wrong number of args for %.*s: want 0 got %zu", (int)name.len, name.data,
			 args->n + (args->final != NULL));
}

static int eval_struct_field(struct exec *x, struct value v, struct text name, const struct arguments *args,
			     struct value *ret_value)
{
	char type[128];

	if (!value_field(v, name, ret_value))
		return exec_fail(x, "can't evaluate field %.*s in type %s", (int)name.len, name.data,
				 type_name(v, type));
	if (!eval_has_arguments(args))
		return OK;
	if (is_method(v, name))
		return fail_method_arguments(x, name, args);
	return exec_fail(x, "%.*s has arguments but cannot be invoked as function", (int)name.len, name.data);
}

/* Of nothing: an error only where missing keys are. */
static int eval_field_of_nothing(struct exec *x, struct text name, struct value *ret_value)
{
	CLEANUP(buf_free) struct buf quoted = BUF_INIT(ERR_TEXT_MAX);

	*ret_value = value_none();
	if (!x->options->missing_key_error)
		return OK;
	print_quoted(&quoted, name);
	return exec_fail(x, "nil data; no entry for key %s", buf_text(&quoted));
}

static int eval_field(struct exec *x, struct value v, struct text name, const struct arguments *args,
		      struct value *ret_value)
{
	char type[128];

	if (v.kind == VALUE_NONE)
		return eval_field_of_nothing(x, name, ret_value);
	if (v.kind == VALUE_NIL || (v.kind == VALUE_POINTER && value_has_field(v.type, name)))
		return exec_fail(x, "nil pointer evaluating %s.%.*s", type_name(v, type), (int)name.len, name.data);
	if (value_method(v, name, &x->arena, ret_value))
		return eval_has_arguments(args) ? fail_method_arguments(x, name, args) : OK;
	if (v.kind == VALUE_STRUCT)
		return eval_struct_field(x, v, name, args, ret_value);
	if (v.kind == VALUE_MAP)
		return eval_map_key(x, v, name, args, ret_value);
	return exec_fail(x, "can't evaluate field %.*s in type %s", (int)name.len, name.data, type_name(v, type));
}

int eval_fields(struct exec *x, struct value v, const struct node *names, const struct arguments *args,
		struct value *ret_value)
{
	for (; names; names = names->next) {
		int r = eval_field(x, v, names->text, names->next ? &eval_no_arguments : args, &v);

		if (r)
			return r;
	}
	*ret_value = v;
	return OK;
}

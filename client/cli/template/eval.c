/* Values of pipelines, commands and calls. */
#include "client/cli/template/exec.h"
#include "client/cli/value/print.h"

static int eval_argument(struct exec *x, struct value dot, enum parameter type, const struct node *n,
			 struct value *ret_value);

static struct value unbox(struct value v)
{
	v.boxed = false;
	if (v.kind == VALUE_NIL)
		v.kind = VALUE_NONE;
	return v;
}

/* ---- types of arguments --------------------------------------------------- */

static int wrong_type(struct exec *x, enum parameter wanted, struct value v)
{
	char name[128];

	return exec_fail(x, "wrong type for value; expected %s; got %s", parameter_name(wanted),
			 value_type_name(v, name));
}

static bool assignable(struct value v, enum parameter wanted)
{
	switch (wanted) {
	case PARAMETER_STRING:
		return v.type == &type_string;
	case PARAMETER_INT:
		return v.type == &type_int;
	case PARAMETER_STRINGS:
		return v.kind == VALUE_LIST && v.type->elem == &type_string;
	default:
		return true;
	}
}

static int check_type(struct exec *x, struct value v, enum parameter wanted, struct value *ret_value)
{
	bool nothing = v.kind == VALUE_NONE;

	if (nothing && wanted == PARAMETER_STRINGS)
		v = value_nil_list(&type_strings);
	else if (nothing && wanted != PARAMETER_ANY && wanted != PARAMETER_VALUE && wanted != PARAMETER_NONE)
		return exec_fail(x, "invalid value; expected %s", parameter_name(wanted));
	else if (!nothing && !assignable(v, wanted))
		return wrong_type(x, wanted, v);
	v.boxed = v.boxed && (wanted == PARAMETER_NONE || wanted == PARAMETER_VALUE);
	*ret_value = v;
	return OK;
}

static int fail_expected(struct exec *x, const char *what, const struct node *n)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(ERR_TEXT_MAX);

	node_print(&text, n);
	return exec_fail(x, "expected %s; found %s", what, buf_text(&text));
}

/* ---- constants ------------------------------------------------------------ */

static bool is_hex(struct text t)
{
	return t.len > 2 && t.data[0] == '0' && (t.data[1] == 'x' || t.data[1] == 'X') && !memchr(t.data, 'p', t.len) &&
	       !memchr(t.data, 'P', t.len);
}

static bool written_as_float(const struct node_number *n)
{
	if (is_hex(n->text) || n->text.data[0] == '\'')
		return false;
	for (size_t i = 0; i < n->text.len; i++)
		if (strchr(".eEpP", n->text.data[i]))
			return true;
	return false;
}

static int eval_number(struct exec *x, const struct node *node, struct value *ret_value)
{
	const struct node_number *n = &node->number;

	x->node = node;
	if (n->is_complex)
		*ret_value = (struct value){ .kind = VALUE_COMPLEX,
					     .type = &type_complex128,
					     .complex = { n->real, n->imaginary } };
	else if (n->is_float && written_as_float(n))
		*ret_value = value_float(n->real);
	else if (n->is_int)
		*ret_value = value_int(n->integer);
	else
		return exec_fail(x, "%.*s overflows int", (int)n->text.len, n->text.data);
	return OK;
}

/* ---- variables and chains --------------------------------------------------- */

static int variable_value(struct exec *x, struct text name, struct value *ret_value)
{
	for (size_t i = x->n_vars; i-- > 0;)
		if (text_eq(x->vars[i].name, name)) {
			*ret_value = x->vars[i].value;
			return OK;
		}
	return exec_fail(x, "undefined variable: %.*s", (int)name.len, name.data);
}

static int give_arguments(struct exec *x, const struct node *first_word)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(ERR_TEXT_MAX);

	node_print(&text, first_word);
	return exec_fail(x, "can't give argument to non-function %s", buf_text(&text));
}

static int eval_variable(struct exec *x, const struct node *n, const struct arguments *args, struct value *ret_value)
{
	const struct node *names = n->path.names.first;
	struct value v = { 0 };
	int r;

	x->node = n;
	r = variable_value(x, names->text, &v);
	if (r)
		return r;
	if (names->next)
		return eval_fields(x, v, names->next, args, ret_value);
	if (eval_has_arguments(args))
		return give_arguments(x, n);
	*ret_value = v;
	return OK;
}

static int eval_chain(struct exec *x, struct value dot, const struct node *n, const struct arguments *args,
		      struct value *ret_value)
{
	struct value v = { 0 };
	int r;

	x->node = n;
	r = eval_argument(x, dot, PARAMETER_NONE, n->path.inner, &v);
	return r ? r : eval_fields(x, v, n->path.names.first, args, ret_value);
}

/* ---- calls ---------------------------------------------------------------- */

static size_t parameter_count(const struct function *f)
{
	size_t n = 0;

	while (n < PARAMETERS_MAX && f->parameters[n] != PARAMETER_NONE)
		n++;
	return n;
}

static enum parameter parameter_at(const struct function *f, size_t i)
{
	size_t n = parameter_count(f);

	return f->parameters[i < n ? i : n - 1];
}

static int check_count(struct exec *x, const struct function *f, const struct arguments *args)
{
	size_t wanted = parameter_count(f), n = args->n + (args->final != NULL);

	if (f->variadic && n < wanted - 1)
		return exec_fail(x, "wrong number of args for %s: want at least %zu got %zu", f->name, wanted - 1,
				 args->n);
	if (!f->variadic && n != wanted)
		return exec_fail(x, "wrong number of args for %s: want %zu got %zu", f->name, wanted, n);
	return OK;
}

/* and, or: arguments after the deciding one are not evaluated. */
static int eval_short_circuit(struct exec *x, struct value dot, const struct function *f, const struct arguments *args,
			      struct value *ret_value)
{
	for (const struct node *n = args->first; n; n = n->next) {
		int r = eval_argument(x, dot, PARAMETER_VALUE, n, ret_value);

		if (r)
			return r;
		if (value_truth(*ret_value) == (f->stop == STOP_AT_TRUE))
			return OK;
	}
	if (args->final)
		*ret_value = unbox(*args->final);
	return OK;
}

static int eval_arguments(struct exec *x, struct value dot, const struct function *f, const struct arguments *args,
			  struct value *out)
{
	size_t i = 0;
	int r;

	for (const struct node *n = args->first; n; n = n->next, i++) {
		r = eval_argument(x, dot, parameter_at(f, i), n, &out[i]);
		if (r)
			return r;
	}
	if (args->final)
		return check_type(x, *args->final, parameter_at(f, i), &out[i]);
	return OK;
}

static struct value name_of_callee(struct exec *x, const struct arguments *args)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(ERR_TEXT_MAX);
	char type[128];

	if (args->first)
		node_print(&text, args->first);
	else if (args->final->kind == VALUE_STRING)
		buf_append(&text, args->final->string.data, args->final->string.len);
	else
		buf_printf(&text, "<%s Value>", value_type_name(*args->final, type));
	return value_copy(&x->arena, (struct text){ buf_text(&text), text.len });
}

static int call_function(struct exec *x, const struct node *place, const struct function *f, const struct value *values,
			 size_t n, struct value *ret_value)
{
	struct err why = ERR_INIT;
	int r = f->call(&x->arena, values, n, ret_value, &why);

	if (!r) {
		ret_value->boxed = false;
		return OK;
	}
	x->node = place;
	return exec_fail(x, "error calling %s: %s", f->name, why.text);
}

/* `place` is what errors of the function itself point to. */
static int eval_call(struct exec *x, struct value dot, const struct node *identifier, const struct node *place,
		     const struct arguments *args, struct value *ret_value)
{
	const struct function *f = function_find(identifier->text, x->options->mode);
	bool is_call = text_eq(identifier->text, text_of("call"));
	struct value *values;
	int r;

	x->node = identifier;
	r = check_count(x, f, args);
	if (r)
		return r;
	if (f->stop != EVALUATE_ALL)
		return eval_short_circuit(x, dot, f, args, ret_value);
	values = arena_array(&x->arena, args->n + 2, sizeof *values);
	if (!values)
		return exec_fail(x, "out of memory");
	if (is_call)
		values[0] = name_of_callee(x, args);
	r = eval_arguments(x, dot, f, args, values + is_call);
	if (r)
		return r;
	return call_function(x, place, f, values, args->n + (args->final != NULL) + is_call, ret_value);
}

/* ---- arguments and commands ----------------------------------------------- */

static int eval_literal(struct exec *x, enum parameter type, const struct node *n, struct value *ret_value)
{
	if (type == PARAMETER_STRING && n->type != NODE_STRING)
		return fail_expected(x, "string", n);
	if (type == PARAMETER_INT) {
		if (n->type != NODE_NUMBER || !n->number.is_int)
			return fail_expected(x, "integer", n);
		*ret_value = value_int(n->number.integer);
		return OK;
	}
	if (type == PARAMETER_STRINGS) {
		CLEANUP(buf_free) struct buf text = BUF_INIT(ERR_TEXT_MAX);

		node_print(&text, n);
		return exec_fail(x, "can't handle %s for arg of type []string", buf_text(&text));
	}
	if (n->type == NODE_NUMBER)
		return eval_number(x, n, ret_value);
	*ret_value = n->type == NODE_BOOL ? value_bool(n->boolean) : value_text(n->string.text);
	return OK;
}

static int eval_nil(struct exec *x, enum parameter type, struct value *ret_value)
{
	if (type == PARAMETER_STRING || type == PARAMETER_INT)
		return exec_fail(x, "cannot assign nil to %s", parameter_name(type));
	*ret_value = type == PARAMETER_STRINGS ? value_nil_list(&type_strings) : value_none();
	return OK;
}

static int eval_operand(struct exec *x, struct value dot, const struct node *n, struct value *ret_value)
{
	switch (n->type) {
	case NODE_DOT:
		*ret_value = dot;
		return OK;
	case NODE_FIELD:
		x->node = n;
		return eval_fields(x, dot, n->path.names.first, &eval_no_arguments, ret_value);
	case NODE_VARIABLE:
		return eval_variable(x, n, &eval_no_arguments, ret_value);
	case NODE_PIPE:
		return eval_pipeline(x, dot, n, ret_value);
	case NODE_IDENTIFIER:
		return eval_call(x, dot, n, n, &eval_no_arguments, ret_value);
	default:
		return eval_chain(x, dot, n, &eval_no_arguments, ret_value);
	}
}

static int eval_argument(struct exec *x, struct value dot, enum parameter type, const struct node *n,
			 struct value *ret_value)
{
	struct value v;
	int r;

	x->node = n;
	if (n->type == NODE_NIL)
		return eval_nil(x, type, ret_value);
	if (n->type == NODE_BOOL || n->type == NODE_NUMBER || n->type == NODE_STRING)
		return eval_literal(x, type, n, ret_value);
	r = eval_operand(x, dot, n, &v);
	return r ? r : check_type(x, v, type, ret_value);
}

static int eval_simple(struct exec *x, struct value dot, const struct node *n, struct value *ret_value)
{
	switch (n->type) {
	case NODE_BOOL:
		*ret_value = value_bool(n->boolean);
		return OK;
	case NODE_DOT:
		*ret_value = dot;
		return OK;
	case NODE_STRING:
		*ret_value = value_text(n->string.text);
		return OK;
	case NODE_NUMBER:
		return eval_number(x, n, ret_value);
	default:
		return exec_fail(x, "nil is not a command");
	}
}

static int eval_command(struct exec *x, struct value dot, const struct node *command, const struct value *final,
			struct value *ret_value)
{
	const struct node *word = command->list.first;
	struct arguments args = { word->next, command->list.n - 1, final };

	switch (word->type) {
	case NODE_FIELD:
		x->node = word;
		return eval_fields(x, dot, word->path.names.first, &args, ret_value);
	case NODE_CHAIN:
		return eval_chain(x, dot, word, &args, ret_value);
	case NODE_IDENTIFIER:
		return eval_call(x, dot, word, command, &args, ret_value);
	case NODE_VARIABLE:
		return eval_variable(x, word, &args, ret_value);
	case NODE_PIPE:
		if (eval_has_arguments(&args))
			return give_arguments(x, word);
		return eval_pipeline(x, dot, word, ret_value);
	default:
		x->node = word;
		if (eval_has_arguments(&args))
			return give_arguments(x, word);
		return eval_simple(x, dot, word, ret_value);
	}
}

static int assign(struct exec *x, struct text name, struct value v)
{
	for (size_t i = x->n_vars; i-- > 0;)
		if (text_eq(x->vars[i].name, name)) {
			x->vars[i].value = v;
			return OK;
		}
	return exec_fail(x, "undefined variable: %.*s", (int)name.len, name.data);
}

static int run_commands(struct exec *x, struct value dot, const struct node *pipe, struct value *ret_value)
{
	const struct value *final = NULL;
	struct value v = value_none(), before;

	for (const struct node *c = pipe->pipe.commands.first; c; c = c->next) {
		int r = eval_command(x, dot, c, final, &v);

		if (r)
			return r;
		before = unbox(v);
		v = before;
		final = &before;
	}
	*ret_value = v;
	return OK;
}

int eval_pipeline(struct exec *x, struct value dot, const struct node *pipe, struct value *ret_value)
{
	struct value v;
	int r = exec_step(x);

	if (r)
		return r;
	x->node = pipe;
	r = exec_enter(x);
	if (r)
		return r;
	r = run_commands(x, dot, pipe, &v);
	exec_leave(x);
	for (const struct node *d = pipe->pipe.decl.first; d && !r; d = d->next) {
		struct text name = d->path.names.first->text;

		r = pipe->pipe.assign ? assign(x, name, v) : exec_push(x, name, v);
	}
	if (!r)
		*ret_value = v;
	return r;
}

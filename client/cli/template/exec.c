#include "client/cli/template/exec.h"

#include <stdarg.h>

#include "client/cli/value/print.h"

/* How walking a list ended, besides OK and errors. */
enum { LEFT_BY_BREAK = 1, LEFT_BY_CONTINUE = 2 };

static int walk(struct exec *x, struct value dot, const struct node *n);

int exec_fail(struct exec *x, const char *fmt, ...)
{
	CLEANUP(buf_free) struct buf place = BUF_INIT(ERR_TEXT_MAX);
	CLEANUP(buf_free) struct buf name = BUF_INIT(ERR_TEXT_MAX);
	char message[ERR_TEXT_MAX];
	size_t line = 1, column = 0;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof message, fmt, ap);
	va_end(ap);
	for (size_t i = 0; i < x->node->pos && i < x->t->text.len; i++) {
		column++;
		if (x->t->text.data[i] == '\n') {
			line++;
			column = 0;
		}
	}
	node_print(&place, x->node);
	print_quoted(&name, x->name);
	return fail(x->err, E_TEMPLATE, "template: :%zu:%zu: executing %s at <%s>: %s", line, column, buf_text(&name),
		    buf_text(&place), message);
}

int exec_step(struct exec *x)
{
	uint64_t max = x->options->steps_max ? x->options->steps_max : TEMPLATE_STEPS_MAX;

	if (++x->steps <= max && buf_ok(x->out))
		return OK;
	if (!buf_ok(x->out))
		return fail(x->err, E_TEMPLATE, "template: output is too large");
	return fail(x->err, E_TEMPLATE, "template: more than %llu steps", (unsigned long long)max);
}

int exec_enter(struct exec *x)
{
	if (x->depth >= EXEC_DEPTH_MAX)
		return exec_fail(x, "exceeded maximum template depth (%d)", TEMPLATE_CALLS_MAX);
	x->depth++;
	return OK;
}

void exec_leave(struct exec *x)
{
	x->depth--;
}

int exec_push(struct exec *x, struct text name, struct value v)
{
	if (x->n_vars >= EXEC_VARS_MAX)
		return exec_fail(x, "too many variables");
	x->vars[x->n_vars++] = (struct variable){ name, v };
	return OK;
}

static int print_result(struct exec *x, const struct node *n, struct value v)
{
	x->node = n;
	if (v.kind == VALUE_NONE || v.kind == VALUE_NIL) {
		buf_puts(x->out, "<no value>");
	} else {
		v.pointer = false; /* what it points to is printed */
		print_value(x->out, v);
	}
	return OK;
}

static int walk_action(struct exec *x, struct value dot, const struct node *n)
{
	struct value v;
	int r = eval_pipeline(x, dot, n->control.pipe, &v);

	if (r || n->control.pipe->pipe.decl.n)
		return r;
	return print_result(x, n, v);
}

static int walk_list(struct exec *x, struct value dot, const struct node *list)
{
	for (const struct node *n = list->list.first; n; n = n->next) {
		int r = walk(x, dot, n);

		if (r)
			return r;
	}
	return OK;
}

static int walk_if_or_with(struct exec *x, struct value dot, const struct node *n)
{
	size_t mark = x->n_vars;
	struct value v;
	int r = eval_pipeline(x, dot, n->control.pipe, &v);

	if (!r && value_truth(v))
		r = walk(x, n->type == NODE_WITH ? v : dot, n->control.body);
	else if (!r && n->control.else_body)
		r = walk(x, dot, n->control.else_body);
	x->n_vars = mark;
	return r;
}

/* ---- range ---------------------------------------------------------------- */

static void set_by_name(struct exec *x, const struct node *decl, struct value v)
{
	struct text name = decl->path.names.first->text;

	for (size_t i = x->n_vars; i-- > 0;)
		if (text_eq(x->vars[i].name, name)) {
			x->vars[i].value = v;
			return;
		}
}

/* "$i, $e :=" were pushed by the pipeline and lie on top; "=" goes by name. */
static void set_variables(struct exec *x, const struct node *pipe, struct value index, struct value element)
{
	const struct node *first = pipe->pipe.decl.first;
	size_t n = pipe->pipe.decl.n;

	if (!n)
		return;
	if (!pipe->pipe.assign) {
		x->vars[x->n_vars - 1].value = element;
		if (n > 1)
			x->vars[x->n_vars - 2].value = index;
		return;
	}
	set_by_name(x, first, n > 1 ? index : element);
	if (n > 1)
		set_by_name(x, first->next, element);
}

static int one_iteration(struct exec *x, const struct node *n, struct value index, struct value element)
{
	size_t mark = x->n_vars;
	int r = exec_step(x);

	if (r)
		return r;
	set_variables(x, n->control.pipe, index, element);
	r = walk(x, element, n->control.body);
	x->n_vars = mark;
	return r == LEFT_BY_CONTINUE ? OK : r;
}

static int range_list(struct exec *x, const struct node *n, struct value v)
{
	int r = OK;

	for (size_t i = 0; i < v.list.n && !r; i++) {
		struct value element = v.list.items[i];

		element.boxed = !v.type->elem;
		r = one_iteration(x, n, value_int((int64_t)i), element);
	}
	return r;
}

static int range_map(struct exec *x, const struct node *n, struct value v)
{
	int r = OK;

	for (size_t i = 0; i < v.map.n && !r; i++) {
		struct value element = v.map.pairs[i].value;

		element.boxed = !v.type->elem;
		r = one_iteration(x, n, value_text(v.map.pairs[i].key), element);
	}
	return r;
}

static int range_integer(struct exec *x, const struct node *n, struct value v)
{
	int64_t end = v.kind == VALUE_INT || v.natural <= INT64_MAX ? v.integer : INT64_MAX;
	CLEANUP(buf_free) struct buf text = BUF_INIT(64);
	int r = OK;

	if (n->control.pipe->pipe.decl.n > 1) {
		print_value(&text, v);
		return exec_fail(x, "can't use %s to iterate over more than one variable", buf_text(&text));
	}
	for (int64_t i = 0; i < end && !r; i++) {
		struct value element = v;

		element.integer = i;
		r = one_iteration(x, n, value_none(), element);
	}
	return r;
}

static bool is_empty_range(struct value v)
{
	size_t len;

	if (v.kind == VALUE_NONE || v.kind == VALUE_NIL)
		return true;
	if (v.kind == VALUE_INT)
		return v.integer <= 0;
	if (v.kind == VALUE_UINT)
		return !v.natural;
	return (v.kind == VALUE_LIST || v.kind == VALUE_MAP) && value_len(v, &len) && !len;
}

static int range_over(struct exec *x, struct value dot, const struct node *n, struct value v)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(ERR_TEXT_MAX);

	if (is_empty_range(v) && !(v.kind == VALUE_INT && n->control.pipe->pipe.decl.n > 1))
		return n->control.else_body ? walk(x, dot, n->control.else_body) : OK;
	switch (v.kind) {
	case VALUE_LIST:
		return range_list(x, n, v);
	case VALUE_MAP:
		return range_map(x, n, v);
	case VALUE_INT:
	case VALUE_UINT:
		return range_integer(x, n, v);
	default:
		print_value(&text, v);
		return exec_fail(x, "range can't iterate over %s", buf_text(&text));
	}
}

static int walk_range(struct exec *x, struct value dot, const struct node *n)
{
	size_t mark = x->n_vars;
	struct value v;
	int r = eval_pipeline(x, dot, n->control.pipe, &v);

	if (!r)
		r = range_over(x, dot, n, v);
	x->n_vars = mark;
	return r == LEFT_BY_BREAK ? OK : r;
}

/* ---- templates ------------------------------------------------------------ */

/* The called definition sees its own variables only. */
static int walk_called(struct exec *x, const struct definition *d, struct value dot)
{
	struct text outer_name = x->name;
	size_t outer_vars = x->n_vars;
	int r;

	x->name = d->name;
	r = exec_push(x, (struct text){ "$", 1 }, dot);
	if (!r)
		r = walk(x, dot, d->body);
	x->name = outer_name;
	x->n_vars = outer_vars;
	return r;
}

static int walk_template(struct exec *x, struct value dot, const struct node *n)
{
	const struct definition *d = template_find(x->t, n->call.name);
	CLEANUP(buf_free) struct buf quoted = BUF_INIT(ERR_TEXT_MAX);
	struct value v = value_none();
	int r = OK;

	x->node = n;
	if (!d) {
		print_quoted(&quoted, n->call.name);
		return exec_fail(x, "template %s not defined", buf_text(&quoted));
	}
	if (x->calls >= TEMPLATE_CALLS_MAX)
		return exec_fail(x, "exceeded maximum template depth (%d)", TEMPLATE_CALLS_MAX);
	if (n->call.pipe)
		r = eval_pipeline(x, dot, n->call.pipe, &v);
	if (r)
		return r;
	x->calls++;
	r = walk_called(x, d, v);
	x->calls--;
	return r;
}

static int walk_inner(struct exec *x, struct value dot, const struct node *n)
{
	switch (n->type) {
	case NODE_ACTION:
		return walk_action(x, dot, n);
	case NODE_BREAK:
		return LEFT_BY_BREAK;
	case NODE_CONTINUE:
		return LEFT_BY_CONTINUE;
	case NODE_IF:
	case NODE_WITH:
		return walk_if_or_with(x, dot, n);
	case NODE_LIST:
		return walk_list(x, dot, n);
	case NODE_RANGE:
		return walk_range(x, dot, n);
	case NODE_TEMPLATE:
		return walk_template(x, dot, n);
	default:
		buf_append(x->out, n->text.data, n->text.len);
		return OK;
	}
}

static int walk(struct exec *x, struct value dot, const struct node *n)
{
	int r = exec_step(x);

	if (r)
		return r;
	x->node = n;
	r = exec_enter(x);
	if (r)
		return r;
	r = walk_inner(x, dot, n);
	exec_leave(x);
	return r;
}

int template_execute(struct template *t, const struct template_options *options, struct value dot, struct buf *out,
		     struct err *err)
{
	struct exec *x = malloc(sizeof *x);
	int r;

	if (!x)
		return fail_nomem(err);
	/* One by one: to clear the room for variables would take longer than a row of a table. */
	x->t = t;
	x->options = options;
	x->out = out;
	x->name = t->main->name;
	x->node = t->main->body;
	x->n_vars = 0;
	x->depth = x->calls = 0;
	x->steps = 0;
	x->err = err;
	arena_init(&x->arena, TEMPLATE_MEMORY_MAX);
	r = walk_called(x, t->main, dot);
	if (!r && !buf_ok(out))
		r = fail(err, E_TEMPLATE, "template: output is too large");
	arena_free(&x->arena);
	free(x);
	return r;
}

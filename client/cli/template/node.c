#include "client/cli/template/node.h"

#include "client/cli/value/print.h"

static void put(struct buf *out, struct text t)
{
	buf_append(out, t.data, t.len);
}

static void print_all(struct buf *out, const struct node_list *list, const char *separator)
{
	for (const struct node *n = list->first; n; n = n->next) {
		if (n != list->first)
			buf_puts(out, separator);
		node_print(out, n);
	}
}

static void print_in_parens(struct buf *out, const struct node *n)
{
	bool parens = n->type == NODE_PIPE;

	if (parens)
		buf_putc(out, '(');
	node_print(out, n);
	if (parens)
		buf_putc(out, ')');
}

static void print_command(struct buf *out, const struct node *n)
{
	for (const struct node *arg = n->list.first; arg; arg = arg->next) {
		if (arg != n->list.first)
			buf_putc(out, ' ');
		print_in_parens(out, arg);
	}
}

static void print_pipe(struct buf *out, const struct node *n)
{
	print_all(out, &n->pipe.decl, ", ");
	if (n->pipe.decl.n)
		buf_puts(out, n->pipe.assign ? " = " : " := ");
	print_all(out, &n->pipe.commands, " | ");
}

static void print_path(struct buf *out, const struct node *n)
{
	const struct node *name = n->path.names.first;

	if (n->type == NODE_CHAIN)
		print_in_parens(out, n->path.inner);
	for (; name; name = name->next) {
		if (n->type != NODE_VARIABLE || name != n->path.names.first)
			buf_putc(out, '.');
		put(out, name->text);
	}
}

static void print_control(struct buf *out, const struct node *n, const char *word)
{
	buf_printf(out, "{{%s ", word);
	node_print(out, n->control.pipe);
	buf_puts(out, "}}");
	node_print(out, n->control.body);
	if (n->control.else_body) {
		buf_puts(out, "{{else}}");
		node_print(out, n->control.else_body);
	}
	buf_puts(out, "{{end}}");
}

static void print_call(struct buf *out, const struct node *n)
{
	buf_puts(out, "{{template ");
	print_quoted(out, n->call.name);
	if (n->call.pipe) {
		buf_putc(out, ' ');
		node_print(out, n->call.pipe);
	}
	buf_puts(out, "}}");
}

static void print_leaf(struct buf *out, const struct node *n)
{
	if (n->type == NODE_TEXT || n->type == NODE_IDENTIFIER)
		put(out, n->text);
	else if (n->type == NODE_BOOL)
		buf_puts(out, n->boolean ? "true" : "false");
	else if (n->type == NODE_NUMBER)
		put(out, n->number.text);
	else if (n->type == NODE_STRING)
		put(out, n->string.quoted);
	else if (n->type == NODE_DOT)
		buf_putc(out, '.');
	else if (n->type == NODE_NIL)
		buf_puts(out, "nil");
}

void node_print(struct buf *out, const struct node *n)
{
	switch (n->type) {
	case NODE_ACTION:
		buf_puts(out, "{{");
		node_print(out, n->control.pipe);
		buf_puts(out, "}}");
		return;
	case NODE_IF:
		print_control(out, n, "if");
		return;
	case NODE_WITH:
		print_control(out, n, "with");
		return;
	case NODE_RANGE:
		print_control(out, n, "range");
		return;
	case NODE_TEMPLATE:
		print_call(out, n);
		return;
	case NODE_BREAK:
		buf_puts(out, "{{break}}");
		return;
	case NODE_CONTINUE:
		buf_puts(out, "{{continue}}");
		return;
	case NODE_END:
		buf_puts(out, "{{end}}");
		return;
	case NODE_ELSE:
		buf_puts(out, "{{else}}");
		return;
	case NODE_LIST:
		print_all(out, &n->list, "");
		return;
	case NODE_PIPE:
		print_pipe(out, n);
		return;
	case NODE_COMMAND:
		print_command(out, n);
		return;
	case NODE_FIELD:
	case NODE_CHAIN:
	case NODE_VARIABLE:
		print_path(out, n);
		return;
	default:
		print_leaf(out, n);
	}
}

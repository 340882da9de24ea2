/* Actions, control structures and definitions; template_parse() is here. */
#include "client/cli/template/parser.h"

static struct node *text_or_action(struct parser *p);
static struct node *if_or_with(struct parser *p, enum node_type type, const char *context);

/* Up to {{end}} or {{else}}, which ret_end is. */
static struct node *item_list(struct parser *p, struct node **ret_end)
{
	struct node *list = parser_node(p, NODE_LIST, parser_peek_nonspace(p).pos);

	while (list && parser_peek_nonspace(p).type != ITEM_EOF) {
		struct node *n = text_or_action(p);

		if (!n)
			return NULL;
		if (n->type == NODE_END || n->type == NODE_ELSE) {
			*ret_end = n;
			return list;
		}
		node_append(&list->list, n);
	}
	parser_fail(p, "unexpected EOF");
	return NULL;
}

/* What {{else}} leads to: a list, or one more if/with in place of it. */
static struct node *else_list(struct parser *p, enum node_type type, const char *context, struct node *end)
{
	struct node *list, *inner;
	enum item_type word = type == NODE_IF ? ITEM_IF : ITEM_WITH;

	if (type != NODE_RANGE && parser_peek(p).type == word) {
		parser_next(p);
		list = parser_node(p, NODE_LIST, end->pos);
		inner = list ? if_or_with(p, type, context) : NULL;
		if (!inner)
			return NULL;
		node_append(&list->list, inner);
		return list;
	}
	list = item_list(p, &end);
	if (list && end->type != NODE_END)
		return parser_fail(p, "expected end; found {{else}}");
	return list;
}

static bool control_body(struct parser *p, struct node *n, const char *context)
{
	struct node *end = NULL;

	n->control.pipe = parse_pipeline(p, context, ITEM_RIGHT_DELIM);
	if (!n->control.pipe)
		return false;
	n->pos = n->control.pipe->pos;
	p->range_depth += n->type == NODE_RANGE;
	n->control.body = item_list(p, &end);
	p->range_depth -= n->type == NODE_RANGE;
	if (!n->control.body)
		return false;
	if (end->type == NODE_ELSE)
		n->control.else_body = else_list(p, n->type, context, end);
	return !p->failed;
}

static struct node *if_or_with(struct parser *p, enum node_type type, const char *context)
{
	struct node *n = parser_node(p, type, 0);
	size_t vars = p->n_vars;
	bool ok = n && parser_enter(p) && control_body(p, n, context);

	p->n_vars = vars;
	if (!ok)
		return NULL;
	parser_leave(p);
	return n;
}

static struct node *end_control(struct parser *p)
{
	struct item item = parser_expect(p, ITEM_RIGHT_DELIM, "end");

	return p->failed ? NULL : parser_node(p, NODE_END, item.pos);
}

static struct node *else_control(struct parser *p)
{
	struct item item = parser_peek_nonspace(p);

	/* "{{else if" and "{{else with" go on as "{{else}}{{if". */
	if (item.type != ITEM_IF && item.type != ITEM_WITH)
		item = parser_expect(p, ITEM_RIGHT_DELIM, "else");
	return p->failed ? NULL : parser_node(p, NODE_ELSE, item.pos);
}

static struct node *leave_control(struct parser *p, struct item word, const char *name)
{
	struct item item = parser_next_nonspace(p);

	if (item.type != ITEM_RIGHT_DELIM)
		return parser_unexpected(p, item, name);
	if (!p->range_depth)
		return parser_fail(p, "%s outside {{range}}", name);
	return parser_node(p, word.type == ITEM_BREAK ? NODE_BREAK : NODE_CONTINUE, word.pos);
}

/* ---- definitions ---------------------------------------------------------- */

static bool is_empty(const struct node *body)
{
	for (const struct node *n = body->list.first; n; n = n->next) {
		if (n->type != NODE_TEXT)
			return false;
		for (size_t i = 0; i < n->text.len; i++)
			if (!strchr(" \t\n\v\f\r", n->text.data[i]) || !n->text.data[i])
				return false;
	}
	return true;
}

struct definition *template_find(const struct template *t, struct text name)
{
	for (struct definition *d = t->definitions; d; d = d->next)
		if (text_eq(d->name, name))
			return d;
	return NULL;
}

/* An empty definition gives way to any other; two full ones clash. */
static void add_definition(struct parser *p, struct text name, struct node *body)
{
	struct definition *d = template_find(p->t, name);

	if (d && !is_empty(d->body)) {
		if (!is_empty(body))
			parser_fail(p, "template: multiple definition of template \"%.*s\"", (int)name.len, name.data);
		return;
	}
	if (!d) {
		d = arena_alloc(&p->t->arena, sizeof *d);
		if (!d) {
			parser_fail(p, "out of memory");
			return;
		}
		d->next = p->t->definitions;
		p->t->definitions = d;
	}
	d->name = name;
	d->body = body;
}

/* A parser of its own for what stands between define or block and end. */
static void parse_inner(struct parser *outer, struct text name, const char *context, bool named)
{
	struct text vars[PARSER_VARS_MAX] = { { "$", 1 } };
	struct parser p = {
		.t = outer->t,
		.lexer = outer->lexer,
		.vars = vars,
		.n_vars = 1,
		.depth = outer->depth,
		.err = outer->err,
	};
	struct node *body, *end = NULL;

	if (!named) {
		struct item item = parser_next_nonspace(&p);

		if (item.type != ITEM_STRING && item.type != ITEM_RAW_STRING)
			parser_unexpected(&p, item, context);
		else if (!parser_unquote(&p, item.text, &name))
			parser_expect(&p, ITEM_RIGHT_DELIM, context);
	}
	body = p.failed || !parser_enter(&p) ? NULL : item_list(&p, &end);
	if (body && end->type != NODE_END)
		parser_fail(&p, "unexpected {{else}} in %s", context);
	if (body && !p.failed)
		add_definition(&p, name, body);
	parser_leave(&p);
	outer->failed |= p.failed;
}

static bool template_name(struct parser *p, struct item item, const char *context, struct text *ret_name)
{
	if (item.type != ITEM_STRING && item.type != ITEM_RAW_STRING) {
		parser_unexpected(p, item, context);
		return false;
	}
	return !parser_unquote(p, item.text, ret_name);
}

static struct node *template_control(struct parser *p, bool block)
{
	const char *context = block ? "block clause" : "template clause";
	struct item item = parser_next_nonspace(p);
	struct node *n = parser_node(p, NODE_TEMPLATE, item.pos);

	if (!n || !template_name(p, item, context, &n->call.name))
		return NULL;
	if (block || parser_next_nonspace(p).type != ITEM_RIGHT_DELIM) {
		if (!block)
			parser_back_up(p);
		n->call.pipe = parse_pipeline(p, context, ITEM_RIGHT_DELIM);
		if (!n->call.pipe)
			return NULL;
	}
	if (block)
		parse_inner(p, n->call.name, context, true);
	return p->failed ? NULL : n;
}

/* ---- actions -------------------------------------------------------------- */

static struct node *action(struct parser *p)
{
	struct item item = parser_next_nonspace(p);
	struct node *n;

	switch (item.type) {
	case ITEM_BLOCK:
		return template_control(p, true);
	case ITEM_BREAK:
		return leave_control(p, item, "{{break}}");
	case ITEM_CONTINUE:
		return leave_control(p, item, "{{continue}}");
	case ITEM_ELSE:
		return else_control(p);
	case ITEM_END:
		return end_control(p);
	case ITEM_IF:
		return if_or_with(p, NODE_IF, "if");
	case ITEM_RANGE:
		return if_or_with(p, NODE_RANGE, "range");
	case ITEM_TEMPLATE:
		return template_control(p, false);
	case ITEM_WITH:
		return if_or_with(p, NODE_WITH, "with");
	default:
		parser_back_up(p);
		n = parser_node(p, NODE_ACTION, parser_peek(p).pos);
		if (n)
			n->control.pipe = parse_pipeline(p, "command", ITEM_RIGHT_DELIM);
		return p->failed ? NULL : n;
	}
}

static struct node *text_or_action(struct parser *p)
{
	struct item item = parser_next_nonspace(p);
	struct node *n;

	if (item.type == ITEM_TEXT) {
		n = parser_node(p, NODE_TEXT, item.pos);
		if (n)
			n->text = item.text;
		return n;
	}
	if (item.type != ITEM_LEFT_DELIM)
		return parser_unexpected(p, item, "input");
	p->action_line = item.line;
	n = action(p);
	p->action_line = 0;
	return n;
}

static bool is_definition(struct parser *p)
{
	struct item delim = parser_next(p);

	if (parser_next_nonspace(p).type == ITEM_DEFINE)
		return true;
	parser_back_up2(p, delim);
	return false;
}

static void parse_main(struct parser *p)
{
	struct node *root = parser_node(p, NODE_LIST, 0);

	while (!p->failed && parser_peek(p).type != ITEM_EOF) {
		struct node *n;

		if (parser_peek(p).type == ITEM_LEFT_DELIM && is_definition(p)) {
			parse_inner(p, (struct text){ "", 0 }, "define clause", false);
			continue;
		}
		n = text_or_action(p);
		if (n && (n->type == NODE_END || n->type == NODE_ELSE))
			parser_fail(p, "unexpected %s", n->type == NODE_END ? "{{end}}" : "{{else}}");
		else if (n)
			node_append(&root->list, n);
	}
	if (!p->failed)
		add_definition(p, (struct text){ "", 0 }, root);
}

int template_parse(struct text text, struct template **ret_template, struct err *err)
{
	CLEANUP(template_freep) struct template *t = calloc(1, sizeof *t);
	struct text vars[PARSER_VARS_MAX] = { { "$", 1 } };
	struct lexer lexer;
	unsigned depth = 0;
	struct parser p = { .t = t, .lexer = &lexer, .vars = vars, .n_vars = 1, .depth = &depth, .err = err };

	if (!t)
		return fail_nomem(err);
	if (text.len > TEMPLATE_TEXT_MAX)
		return fail(err, E_TEMPLATE, "template: :1: text is longer than %d bytes", TEMPLATE_TEXT_MAX);
	arena_init(&t->arena, TEMPLATE_MEMORY_MAX);
	t->text = text;
	lexer_init(&lexer, text);
	parse_main(&p);
	if (p.failed)
		return E_TEMPLATE;
	t->main = template_find(t, (struct text){ "", 0 });
	*ret_template = TAKE(t);
	return OK;
}

void template_free(struct template *t)
{
	if (!t)
		return;
	arena_free(&t->arena);
	free(t);
}

void template_freep(struct template **t)
{
	template_free(*t);
}

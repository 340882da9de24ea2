#include "client/cli/template/parser.h"

#include <stdarg.h>

#include "client/cli/format/width.h"
#include "client/cli/template/function.h"
#include "client/cli/template/literal.h"
#include "client/cli/value/print.h"

/* ---- items ---------------------------------------------------------------- */

struct item parser_next(struct parser *p)
{
	if (p->peeked > 0)
		p->peeked--;
	else
		p->items[0] = lexer_next(p->lexer);
	return p->items[p->peeked];
}

void parser_back_up(struct parser *p)
{
	p->peeked++;
}

void parser_back_up2(struct parser *p, struct item before)
{
	p->items[1] = before;
	p->peeked = 2;
}

void parser_back_up3(struct parser *p, struct item first, struct item second)
{
	p->items[1] = second;
	p->items[2] = first;
	p->peeked = 3;
}

struct item parser_peek(struct parser *p)
{
	if (p->peeked > 0)
		return p->items[p->peeked - 1];
	p->peeked = 1;
	p->items[0] = lexer_next(p->lexer);
	return p->items[0];
}

struct item parser_next_nonspace(struct parser *p)
{
	struct item item;

	do
		item = parser_next(p);
	while (item.type == ITEM_SPACE);
	return item;
}

struct item parser_peek_nonspace(struct parser *p)
{
	struct item item = parser_next_nonspace(p);

	parser_back_up(p);
	return item;
}

/* ---- failure -------------------------------------------------------------- */

struct node *parser_fail(struct parser *p, const char *fmt, ...)
{
	char message[ERR_TEXT_MAX - 64];
	va_list ap;

	if (p->failed)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(message, sizeof message, fmt, ap);
	va_end(ap);
	fail(p->err, E_TEMPLATE, "template: :%d: %s", p->items[0].line, message);
	p->failed = true;
	return NULL;
}

static struct node *fail_memory(struct parser *p)
{
	if (!p->failed)
		fail_nomem(p->err);
	p->failed = true;
	return NULL;
}

static void print_item(struct buf *out, struct item item)
{
	uint32_t rune;
	size_t at = 0;

	if (item.type == ITEM_EOF) {
		buf_puts(out, "EOF");
	} else if (item.type > ITEM_KEYWORD) {
		buf_printf(out, "<%.*s>", (int)item.text.len, item.text.data);
	} else if (item.text.len > 10) {
		for (int i = 0; i < 10 && at < item.text.len; i++)
			at += rune_decode(item.text.data + at, item.text.len - at, &rune);
		print_quoted(out, (struct text){ item.text.data, at });
		buf_puts(out, "...");
	} else {
		print_quoted(out, item.text);
	}
}

static struct node *fail_from_lexer(struct parser *p, struct item item)
{
	const char *extra = " in action started at";
	int len = (int)item.text.len;

	if (!p->action_line || p->action_line == item.line)
		return parser_fail(p, "%.*s", len, item.text.data);
	if (item.text.len >= 7 && !memcmp(item.text.data + item.text.len - 7, " action", 7))
		extra = " started at";
	return parser_fail(p, "%.*s%s :%d", len, item.text.data, extra, p->action_line);
}

struct node *parser_unexpected(struct parser *p, struct item item, const char *context)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(256);

	if (item.type == ITEM_ERROR)
		return fail_from_lexer(p, item);
	print_item(&text, item);
	return parser_fail(p, "unexpected %s in %s", buf_text(&text), context);
}

struct item parser_expect(struct parser *p, enum item_type type, const char *context)
{
	struct item item = parser_next_nonspace(p);

	if (item.type != type)
		parser_unexpected(p, item, context);
	return item;
}

/* ---- nodes ---------------------------------------------------------------- */

struct node *parser_node(struct parser *p, enum node_type type, size_t pos)
{
	struct node *n = arena_alloc(&p->t->arena, sizeof *n);

	if (!n)
		return fail_memory(p);
	n->type = type;
	n->pos = pos;
	return n;
}

void node_append(struct node_list *list, struct node *n)
{
	if (list->last)
		list->last->next = n;
	else
		list->first = n;
	list->last = n;
	list->n++;
}

bool parser_enter(struct parser *p)
{
	if (++*p->depth > TEMPLATE_DEPTH_MAX)
		parser_fail(p, "template nests too deeply");
	return !p->failed;
}

void parser_leave(struct parser *p)
{
	--*p->depth;
}

int parser_unquote(struct parser *p, struct text quoted, struct text *ret_text)
{
	struct err err = ERR_INIT;
	int r = literal_unquote(quoted, &p->t->arena, ret_text, &err);

	if (r)
		parser_fail(p, "%s", err.text);
	return r;
}

/* ---- operands ------------------------------------------------------------- */

static bool add_name(struct parser *p, struct node *path, struct text name)
{
	struct node *n = parser_node(p, NODE_IDENTIFIER, path->pos);

	if (!n)
		return false;
	n->text = name;
	node_append(&path->path.names, n);
	return true;
}

static struct node *path_node(struct parser *p, enum node_type type, size_t pos, struct text name)
{
	struct node *n = parser_node(p, type, pos);

	return n && add_name(p, n, name) ? n : NULL;
}

static struct text behind_dot(struct text field)
{
	return (struct text){ field.data + 1, field.len - 1 };
}

static struct node *identifier(struct parser *p, struct item item)
{
	CLEANUP(buf_free) struct buf quoted = BUF_INIT(512);
	struct node *n;

	if (!function_exists(item.text)) {
		print_quoted(&quoted, item.text);
		return parser_fail(p, "function %s not defined", buf_text(&quoted));
	}
	n = parser_node(p, NODE_IDENTIFIER, item.pos);
	if (n)
		n->text = item.text;
	return n;
}

static struct node *variable(struct parser *p, struct item item)
{
	CLEANUP(buf_free) struct buf quoted = BUF_INIT(512);

	for (size_t i = 0; i < p->n_vars; i++)
		if (text_eq(p->vars[i], item.text))
			return path_node(p, NODE_VARIABLE, item.pos, item.text);
	print_quoted(&quoted, item.text);
	return parser_fail(p, "undefined variable %s", buf_text(&quoted));
}

static struct node *number(struct parser *p, struct item item)
{
	struct node *n = parser_node(p, NODE_NUMBER, item.pos);
	struct err err = ERR_INIT;

	if (!n || !literal_number(item.text, item.type, &n->number, &err))
		return n;
	return parser_fail(p, "%s", err.text);
}

static struct node *string(struct parser *p, struct item item)
{
	struct node *n = parser_node(p, NODE_STRING, item.pos);

	if (!n || parser_unquote(p, item.text, &n->string.text))
		return NULL;
	n->string.quoted = item.text;
	return n;
}

static struct node *boolean(struct parser *p, struct item item)
{
	struct node *n = parser_node(p, NODE_BOOL, item.pos);

	if (n)
		n->boolean = item.text.len == 4;
	return n;
}

/* A value, or a pipeline in parentheses. NULL without a failure: none is there. */
static struct node *term(struct parser *p)
{
	struct item item = parser_next_nonspace(p);

	switch (item.type) {
	case ITEM_IDENTIFIER:
		return identifier(p, item);
	case ITEM_DOT:
		return parser_node(p, NODE_DOT, item.pos);
	case ITEM_NIL:
		return parser_node(p, NODE_NIL, item.pos);
	case ITEM_VARIABLE:
		return variable(p, item);
	case ITEM_FIELD:
		return path_node(p, NODE_FIELD, item.pos, behind_dot(item.text));
	case ITEM_BOOL:
		return boolean(p, item);
	case ITEM_CHAR_CONSTANT:
	case ITEM_COMPLEX:
	case ITEM_NUMBER:
		return number(p, item);
	case ITEM_LEFT_PAREN:
		return parse_pipeline(p, "parenthesized pipeline", ITEM_RIGHT_PAREN);
	case ITEM_STRING:
	case ITEM_RAW_STRING:
		return string(p, item);
	default:
		parser_back_up(p);
		return NULL;
	}
}

static bool is_literal(const struct node *n)
{
	return n->type == NODE_BOOL || n->type == NODE_STRING || n->type == NODE_NUMBER || n->type == NODE_NIL ||
	       n->type == NODE_DOT;
}

static struct node *fail_dot_after(struct parser *p, const struct node *n)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(512);
	CLEANUP(buf_free) struct buf quoted = BUF_INIT(1024);

	node_print(&text, n);
	print_quoted(&quoted, (struct text){ buf_text(&text), text.len });
	return parser_fail(p, "unexpected . after term %s", buf_text(&quoted));
}

/* A term and the fields that follow it. */
static struct node *operand(struct parser *p)
{
	struct node *n = term(p), *path = n;
	struct item item = n ? parser_peek(p) : (struct item){ 0 };

	if (!n || item.type != ITEM_FIELD)
		return n;
	if (is_literal(n))
		return fail_dot_after(p, n);
	if (n->type != NODE_FIELD && n->type != NODE_VARIABLE) {
		path = parser_node(p, NODE_CHAIN, item.pos);
		if (!path)
			return NULL;
		path->path.inner = n;
	}
	path->pos = item.pos;
	while (parser_peek(p).type == ITEM_FIELD)
		if (!add_name(p, path, behind_dot(parser_next(p).text)))
			return NULL;
	return path;
}

static struct node *command(struct parser *p)
{
	struct node *n = parser_node(p, NODE_COMMAND, parser_peek_nonspace(p).pos);
	struct item item;

	while (n) {
		struct node *arg;

		parser_peek_nonspace(p);
		arg = operand(p);
		if (p->failed)
			return NULL;
		if (arg)
			node_append(&n->list, arg);
		item = parser_next(p);
		if (item.type == ITEM_SPACE)
			continue;
		if (item.type == ITEM_RIGHT_DELIM || item.type == ITEM_RIGHT_PAREN)
			parser_back_up(p);
		else if (item.type != ITEM_PIPE)
			return parser_unexpected(p, item, "operand");
		break;
	}
	if (n && !n->list.n)
		return parser_fail(p, "empty command");
	return n;
}

/* ---- pipelines ------------------------------------------------------------ */

static bool declare(struct parser *p, struct node *pipe, struct item item)
{
	struct node *n = path_node(p, NODE_VARIABLE, item.pos, item.text);

	if (!n)
		return false;
	if (p->n_vars >= PARSER_VARS_MAX)
		return parser_fail(p, "too many variables");
	node_append(&pipe->pipe.decl, n);
	p->vars[p->n_vars++] = item.text;
	return true;
}

static bool is_char(struct item item, char c)
{
	return item.type == ITEM_CHAR && item.text.len == 1 && item.text.data[0] == c;
}

/* After "$x,". True when one more declaration may follow. */
static bool second_declaration(struct parser *p, struct node *pipe, const char *context)
{
	enum item_type type;

	if (!strcmp(context, "range") && pipe->pipe.decl.n < 2) {
		type = parser_peek_nonspace(p).type;
		if (type == ITEM_VARIABLE || type == ITEM_RIGHT_DELIM || type == ITEM_RIGHT_PAREN)
			return true;
		parser_fail(p, "range can only initialize variables");
		return false;
	}
	parser_fail(p, "too many declarations in %s", context);
	return false;
}

/* "$x :=", "$x =", "$i, $x :=" in front of the commands. */
static void declarations(struct parser *p, struct node *pipe, const char *context)
{
	struct item variable_item = parser_peek_nonspace(p), after, following;

	while (variable_item.type == ITEM_VARIABLE && !p->failed) {
		parser_next(p);
		after = parser_peek(p);
		following = parser_peek_nonspace(p);
		if (following.type == ITEM_ASSIGN || following.type == ITEM_DECLARE) {
			pipe->pipe.assign = following.type == ITEM_ASSIGN;
			parser_next_nonspace(p);
			declare(p, pipe, variable_item);
			return;
		}
		if (!is_char(following, ',')) {
			/* It is an argument. */
			if (after.type == ITEM_SPACE)
				parser_back_up3(p, variable_item, after);
			else
				parser_back_up2(p, variable_item);
			return;
		}
		parser_next_nonspace(p);
		if (!declare(p, pipe, variable_item) || !second_declaration(p, pipe, context))
			return;
		variable_item = parser_peek_nonspace(p);
	}
}

static struct node *check_pipeline(struct parser *p, struct node *pipe, const char *context)
{
	int stage = 2;

	if (!pipe->pipe.commands.n)
		return parser_fail(p, "missing value for %s", context);
	for (struct node *c = pipe->pipe.commands.first->next; c; c = c->next, stage++)
		if (is_literal(c->list.first))
			return parser_fail(p, "non executable command in pipeline stage %d", stage);
	return pipe;
}

static bool starts_command(enum item_type type)
{
	switch (type) {
	case ITEM_BOOL:
	case ITEM_CHAR_CONSTANT:
	case ITEM_COMPLEX:
	case ITEM_DOT:
	case ITEM_FIELD:
	case ITEM_IDENTIFIER:
	case ITEM_NUMBER:
	case ITEM_NIL:
	case ITEM_RAW_STRING:
	case ITEM_STRING:
	case ITEM_VARIABLE:
	case ITEM_LEFT_PAREN:
		return true;
	default:
		return false;
	}
}

static struct node *commands(struct parser *p, struct node *pipe, const char *context, enum item_type end)
{
	while (!p->failed) {
		struct item item = parser_next_nonspace(p);
		struct node *c;

		if (item.type == end)
			return check_pipeline(p, pipe, context);
		if (!starts_command(item.type))
			return parser_unexpected(p, item, context);
		parser_back_up(p);
		c = command(p);
		if (!c)
			return NULL;
		node_append(&pipe->pipe.commands, c);
	}
	return NULL;
}

struct node *parse_pipeline(struct parser *p, const char *context, enum item_type end)
{
	struct node *pipe = parser_node(p, NODE_PIPE, parser_peek_nonspace(p).pos);

	if (!pipe || !parser_enter(p))
		return NULL;
	declarations(p, pipe, context);
	pipe = p->failed ? NULL : commands(p, pipe, context, end);
	parser_leave(p);
	return pipe;
}

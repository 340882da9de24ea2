/* Between the files of the parser: items with look-ahead, and its state. */
#ifndef CLIENT_CLI_TEMPLATE_PARSER_H
#define CLIENT_CLI_TEMPLATE_PARSER_H

#include "client/cli/template/lexer.h"
#include "client/cli/template/node.h"

enum { PARSER_VARS_MAX = 250 };

/* One definition being parsed. Those inside others share the lexer. */
struct parser {
	struct template *t;
	struct lexer *lexer;
	struct item items[3]; /* look-ahead; items[peeked - 1] is the next one */
	int peeked;
	struct text *vars;
	size_t n_vars;
	int range_depth;
	int action_line; /* of the action that is being parsed; 0: none */
	unsigned *depth; /* shared by nested parsers */
	struct err *err;
	bool failed; /* err is set; nothing that follows counts */
};

struct item parser_next(struct parser *p);
struct item parser_peek(struct parser *p);
struct item parser_next_nonspace(struct parser *p);
struct item parser_peek_nonspace(struct parser *p);
void parser_back_up(struct parser *p);
void parser_back_up2(struct parser *p, struct item before);
void parser_back_up3(struct parser *p, struct item first, struct item second);

/* The first failure is kept. Both return NULL. */
struct node *parser_fail(struct parser *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct node *parser_unexpected(struct parser *p, struct item item, const char *context);
struct item parser_expect(struct parser *p, enum item_type type, const char *context);

struct node *parser_node(struct parser *p, enum node_type type, size_t pos);
void node_append(struct node_list *list, struct node *n);

/* False, and a failure, when the template nests too deeply. */
bool parser_enter(struct parser *p);
void parser_leave(struct parser *p);

/* Up to and with the item `end`. NULL after a failure. */
struct node *parse_pipeline(struct parser *p, const char *context, enum item_type end);
int parser_unquote(struct parser *p, struct text quoted, struct text *ret_text);

#endif

/* Literals of Go: quoted strings, characters, numbers. */
#ifndef CLIENT_CLI_TEMPLATE_LITERAL_H
#define CLIENT_CLI_TEMPLATE_LITERAL_H

#include "client/cli/template/lexer.h"
#include "client/cli/template/node.h"

/* strconv.Unquote of "…" or `…`. E_TEMPLATE "invalid syntax". */
int literal_unquote(struct text quoted, struct arena *arena, struct text *ret_text, struct err *err);
int literal_number(struct text text, enum item_type type, struct node_number *ret_number, struct err *err);

#endif

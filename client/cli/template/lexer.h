/* From the text of a template to items: text, delimiters, words, literals. */
#ifndef CLIENT_CLI_TEMPLATE_LEXER_H
#define CLIENT_CLI_TEMPLATE_LEXER_H

#include "client/cli/value/value.h"

enum item_type {
	ITEM_ERROR, /* text is the message */
	ITEM_EOF,
	ITEM_BOOL,
	ITEM_CHAR, /* one ASCII character with no meaning of its own, such as ',' */
	ITEM_CHAR_CONSTANT,
	ITEM_COMPLEX,
	ITEM_ASSIGN,
	ITEM_DECLARE,
	ITEM_FIELD,
	ITEM_IDENTIFIER,
	ITEM_LEFT_DELIM,
	ITEM_LEFT_PAREN,
	ITEM_NUMBER,
	ITEM_PIPE,
	ITEM_RAW_STRING,
	ITEM_RIGHT_DELIM,
	ITEM_RIGHT_PAREN,
	ITEM_SPACE,
	ITEM_STRING,
	ITEM_TEXT,
	ITEM_VARIABLE,
	ITEM_KEYWORD, /* only delimits the keywords */
	ITEM_BLOCK,
	ITEM_BREAK,
	ITEM_CONTINUE,
	ITEM_DOT,
	ITEM_DEFINE,
	ITEM_ELSE,
	ITEM_END,
	ITEM_IF,
	ITEM_NIL,
	ITEM_RANGE,
	ITEM_TEMPLATE,
	ITEM_WITH,
};

struct item {
	enum item_type type;
	size_t pos; /* in the input */
	struct text text;
	int line;
};

struct lexer {
	struct text input;
	size_t pos, start; /* start of the item that is being read */
	bool at_eof;
	bool inside_action;
	int paren_depth;
	int line, start_line;
	struct item item; /* the one just read */
	char message[160];
};

void lexer_init(struct lexer *l, struct text input);
/* After ITEM_ERROR or ITEM_EOF only ITEM_EOF or ITEM_ERROR follow. */
struct item lexer_next(struct lexer *l);

#endif

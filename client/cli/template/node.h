/* The tree of a parsed template. Nodes live in the template's arena. */
#ifndef CLIENT_CLI_TEMPLATE_NODE_H
#define CLIENT_CLI_TEMPLATE_NODE_H

#include "client/cli/template/template.h"

enum node_type {
	NODE_TEXT,
	NODE_ACTION,
	NODE_IF,
	NODE_WITH,
	NODE_RANGE,
	NODE_TEMPLATE,
	NODE_BREAK,
	NODE_CONTINUE,
	NODE_LIST,
	NODE_END,  /* only while parsing */
	NODE_ELSE, /* only while parsing */
	NODE_PIPE,
	NODE_COMMAND,
	NODE_FIELD,
	NODE_CHAIN,
	NODE_VARIABLE,
	NODE_IDENTIFIER,
	NODE_DOT,
	NODE_NIL,
	NODE_BOOL,
	NODE_NUMBER,
	NODE_STRING,
};

/* Siblings are linked by `next`. */
struct node_list {
	struct node *first, *last;
	size_t n;
};

struct node_number {
	struct text text;
	bool is_int, is_uint, is_float, is_complex;
	int64_t integer;
	uint64_t natural;
	double real, imaginary;
};

struct node {
	enum node_type type;
	size_t pos; /* in the text of the template */
	struct node *next;
	union {
		struct text text;      /* TEXT, IDENTIFIER */
		struct node_list list; /* LIST; COMMAND: its arguments */
		struct {
			struct node *pipe; /* ACTION has only this */
			struct node *body, *else_body;
		} control;
		struct {
			struct text name;
			struct node *pipe; /* may be NULL */
		} call;			   /* TEMPLATE */
		struct {
			struct node_list decl; /* VARIABLEs; at most 2 */
			struct node_list commands;
			bool assign; /* "=" and not ":=" */
		} pipe;
		struct {
			struct node *inner;	/* CHAIN: what the fields are of */
			struct node_list names; /* IDENTIFIERs; VARIABLE: the first is "$x" */
		} path;				/* FIELD, CHAIN, VARIABLE */
		bool boolean;
		struct node_number number;
		struct {
			struct text quoted, text;
		} string;
	};
};

/* A template by name: the main one, and what define and block make. */
struct definition {
	struct text name;
	struct node *body; /* LIST */
	struct definition *next;
};

struct template
{
	struct arena arena;
	struct text text;
	struct definition *definitions;
	struct definition *main;
	bool missing_key_error;
};

struct definition *template_find(const struct template *t, struct text name);

/* The source of a node as error messages show it. */
void node_print(struct buf *out, const struct node *n);

#endif

/* Between the files of the execution (exec.c walks, eval.c computes). */
#ifndef CLIENT_CLI_TEMPLATE_EXEC_H
#define CLIENT_CLI_TEMPLATE_EXEC_H

#include "client/cli/template/function.h"
#include "client/cli/template/node.h"

/* Lists and pipelines within each other: what calls need, and some more for what is in them. */
enum { EXEC_VARS_MAX = 2000, EXEC_DEPTH_MAX = 3 * TEMPLATE_CALLS_MAX };

struct variable {
	struct text name;
	struct value value;
};

struct exec {
	struct template *t;
	const struct template_options *options;
	struct buf *out;
	struct arena arena;	 /* of this execution */
	const struct node *node; /* where errors are reported */
	struct text name;	 /* of the definition that runs */
	struct variable vars[EXEC_VARS_MAX];
	size_t n_vars;
	unsigned depth, calls;
	uint64_t steps;
	struct err *err;
};

/* "template: :1:2: executing "" at <.X>: " and the message; returns E_TEMPLATE. */
int exec_fail(struct exec *x, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Counts a step; E_TEMPLATE when there were too many. */
int exec_step(struct exec *x);
int exec_enter(struct exec *x);
void exec_leave(struct exec *x);
int exec_push(struct exec *x, struct text name, struct value v);

/* The arguments of a call as written, and what a pipeline adds behind them. */
struct arguments {
	const struct node *first; /* NULL: none */
	size_t n;
	const struct value *final; /* NULL: none */
};

extern const struct arguments eval_no_arguments;
bool eval_has_arguments(const struct arguments *a);

/* The value of ".A.B.C" of v: `names` are its parts, the last of which takes the
 * arguments if it can. */
int eval_fields(struct exec *x, struct value v, const struct node *names, const struct arguments *args,
		struct value *ret_value);

/* The value of a pipeline, whose declarations are pushed. */
int eval_pipeline(struct exec *x, struct value dot, const struct node *pipe, struct value *ret_value);

#endif

/*
 * What an operation takes of others, opened: files of contexts, merged views of trees.
 * Each view once, for one thread.
 */
#ifndef SERVICE_BUILD_SOLVE_INPUTS_H
#define SERVICE_BUILD_SOLVE_INPUTS_H

#include "service/build/solve/solving.h"

struct inputs {
	struct solving_op *op;
	struct cancel *cancel;
	struct tree_view **views; /* of each input of the operation; NULL: not opened */
	struct copy_files *files; /* of each input but the first, for copy.h */
	struct digest *digests;	  /* what the key says of each input */
};

int inputs_new(struct solving_op *o, struct cancel *cancel, struct inputs *ret_inputs, struct err *err);
void inputs_free(struct inputs *in); /* also the cleanup function */

/* The tree of an input as a view; the input's, which is one of a tree. */
int inputs_view(struct inputs *in, size_t input, struct tree_view **ret_view, struct err *err);
/* in->files[] of one input: its context, fetched where it has to be, or its view. */
int inputs_files(struct inputs *in, size_t input, struct err *err);

/* Of a URL, a repository or a here-document: its files, fetched once in the build. */
int source_context(struct solving_op *o, struct cancel *cancel, struct build_context **ret_context, struct err *err);

/* What copy.h needs for the step. */
struct copy_job inputs_copy_job(const struct inputs *in, int64_t now_ns);

#endif

/*
 * One build that is being solved. For the files of this folder.
 *
 * An operation becomes ready with the last of its inputs; a thread takes it, and takes the next
 * one afterwards. What it makes is shared as a flight (flight.h). Threads come as they are needed;
 * one that only waits for other builds has none.
 */
#ifndef SERVICE_BUILD_SOLVE_SOLVING_H
#define SERVICE_BUILD_SOLVE_SOLVING_H

#include "service/build/solve/commit.h"
#include "service/build/solve/explain.h"
#include "service/build/solve/flight.h"
#include "service/build/solve/solver.h"

enum { SOLVING_THREADS_MAX = 32 };

enum op_state {
	STATE_UNUSED, /* the target does not need it */
	STATE_WAITING,
	STATE_READY,
	STATE_RUNNING, /* a thread has it, or another build makes it */
	STATE_DONE,
	STATE_ENDED, /* without a result */
};

/* What became of an operation. Written by the thread that has it; read by those of its consumers. */
struct solving_op {
	struct participant participant;
	struct solving *build;
	const struct op *op;
	enum op_state state; /* guarded by the build's mutex, like `missing` */
	size_t missing;	     /* inputs that are not there */
	struct digest id;    /* by its definition and those of its inputs */
	struct vertex *vertex;
	bool executed;

	struct build_tree *tree;   /* of what makes or is a tree */
	struct build_layer *layer; /* of a step; borrowed from the tree or the flight */
	struct digest keys[STEP_KEYS_MAX];
	size_t n_keys;
	struct digest symbol; /* see stack.h, like `stack` */
	struct digest *stack;
	size_t n_stack;
	struct digest *pins; /* keys by which results were found */
	size_t n_pins;

	/* Of OP_CONTEXT, OP_URL, OP_GIT, OP_FILE. */
	struct digest identity;
	struct build_context *context;
	bool owns_context, opening;
	const struct solve_context *named; /* of OP_CONTEXT */
};

struct solving {
	struct solver *solver;
	const struct solve_request *request;
	struct layer_workers *workers;
	pthread_mutex_t workers_mu; /* guards `expecting`: one of them was started ahead */
	bool expecting;
	struct cancel *cancel; /* of looking and waiting; fires when the build ends early */
	struct committer *committer;
	struct explainer *explainer; /* NULL: nothing is asked or kept */
	struct solution *solution;

	pthread_mutex_t mu; /* guards what follows */
	pthread_cond_t work, changed;
	struct solving_op *ops;
	size_t *consumers, *first_consumer; /* of op i: consumers[first_consumer[i]..first_consumer[i + 1]] */
	size_t *ready;
	size_t n_ready, head, capacity;
	size_t left; /* operations that have not ended */
	unsigned n_threads, idle;
	pthread_t threads[SOLVING_THREADS_MAX];
	bool stopping, closing;
	struct err failure; /* the first, and whose it is */
	struct solving_op *failed;
};

/* Of a thread that has the operation: it is done, or has failed. */
void solving_done(struct solving_op *o);
void solving_failed(struct solving_op *o, const struct err *why);
bool solving_is_stopping(struct solving *b);
/* It is of no interest any more what becomes of it. */
void solving_quit(struct solving_op *o);
/* Whether it makes a layer of its own; else it is known at once. */
bool solving_makes_layer(const struct solving_op *o);

/* Takes an operation as far as it goes. */
void step_solve(struct solving_op *o);
void source_solve(struct solving_op *o);

/* The place of an input in the build. */
static inline struct solving_op *input_of(const struct solving_op *o, size_t i)
{
	return &o->build->ops[o->op->inputs[i]];
}

#endif

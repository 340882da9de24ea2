/*
 * The operations of an evaluated build and what makes each of them another one
 * (build.md 2.1, 2.2).
 *
 * An operation makes a file tree out of those of its inputs, which come before it in the
 * list. Its `own` digest is over what it does: the arguments of a RUN with their
 * environment, the paths and options of a COPY; not over the text of the instruction, its
 * place, or values that no step sees. What its inputs are comes in by graph_key(): from
 * keys of operations or from digests of contents, as the caller likes.
 *
 * Operations that are alike and have the same inputs are one, in whatever stages they
 * stand. Only what the target needs is here. Configurations are not: ENV, LABEL and their
 * kin make no operation.
 *
 * Pure; in the arena.
 */
#ifndef SERVICE_BUILD_GRAPH_H
#define SERVICE_BUILD_GRAPH_H

#include "service/build/evaluate.h"

enum op_kind {
	OP_SCRATCH, /* nothing */
	OP_IMAGE,
	OP_CONTEXT, /* the files of the client, or a named context: keyed by contents alone */
	OP_URL,
	OP_GIT,
	OP_FILE,      /* a here-document */
	OP_COPY,      /* inputs: the tree it goes into, then one for each source */
	OP_MERGE,     /* COPY --link: inputs: the tree, then the copy, which is over OP_SCRATCH */
	OP_RUN,	      /* inputs: the root, then one for each mount of a stage or a context */
	OP_DIRECTORY, /* WORKDIR */
};

enum { OPS_MAX = 100 * 1000 };

struct op {
	enum op_kind kind;
	size_t *inputs;
	size_t n_inputs;
	struct digest own;
	size_t stage;			  /* the first that has it */
	const struct step *step;	  /* of OP_COPY, OP_MERGE, OP_RUN, OP_DIRECTORY */
	const char *name;		  /* of OP_IMAGE, OP_CONTEXT ("": the main one) */
	const struct copy_source *source; /* of OP_URL, OP_GIT, OP_FILE */
	const char *title;		  /* "[build 2/5] RUN make"; NULL: not shown */
};

/* What the command line adds to each RUN and COPY. Strings may be NULL. */
struct graph_options {
	/* Of each stage of the plan: what the image's name was found to be for its platform;
	 * unset: only the name counts. NULL: of none. */
	const struct digest *images;
	const char *network; /* of RUN --network=default */
	const char *hostname, *cgroup_parent;
	struct string_list ulimits;    /* "nofile=1:2" */
	struct string_list host_names; /* of --add-host; the addresses do not count */
	bool show_platform;	       /* titles tell the platform: several are built */
	int64_t shm_size;
	bool has_epoch; /* SOURCE_DATE_EPOCH: times of files that are made */
	int64_t epoch;
};

struct graph {
	struct op *ops;
	size_t n, capacity;
	size_t target; /* the operation that makes the target's files */
	size_t *tops;  /* of each stage of the plan: its last operation; PLAN_NONE: not needed */
};

int graph_make(const struct plan *p, const struct evaluation *e, const struct graph_options *options, struct arena *a,
	       struct graph *ret_graph, struct err *err);

/* What an operation is, given what its inputs are: one digest for each. */
struct digest graph_key(const struct op *op, const struct digest *inputs);

#endif

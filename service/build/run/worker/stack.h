/*
 * Layers over one another: the root of a step, and the trees that its mounts take parts of.
 *
 *   lower/N     a layer each; one that several stacks have is there once
 *   lower/none  empty, below all: so that a single layer makes an overlay too, without its whiteouts; and
 *   lower/empty above it where there is no layer, as an overlay has two
 *
 * Belongs to the process that is alone in the workspace (workspace.h). Names are relative to it.
 */
#ifndef SERVICE_BUILD_RUN_WORKER_STACK_H
#define SERVICE_BUILD_RUN_WORKER_STACK_H

#include "proto/runtime/mem.h"
#include "service/build/run/run.h"

/* What is in lower/. */
struct stack_layers {
	struct known_layer *known;
	size_t n_known;
	unsigned n; /* directories */
	bool is_root;
};

void stack_layers_free(struct stack_layers *l);

/* Numbers in lower/, the uppermost first. */
struct stack {
	unsigned layer[RUN_LAYERS_MAX];
	size_t n;
};

/* Layers that descriptors of before the namespace are of (attach_layer()). A layer that is there twice is
 * taken once, where it is uppermost: all that the other one has is hidden by it. */
int stack_attach(struct stack_layers *l, const int *fds, size_t n, struct stack *ret_stack, struct err *err);

/* A directory for writes, when there is none yet: the overlay's root, 0755. */
int stack_make_upper(const char *upper, struct err *err);

struct stack_mount {
	const char *target;
	const char *upper, *work; /* NULL: read-only */
	unsigned long flags;	  /* of mount(2) */
};

int stack_mount(const struct stack_layers *l, const struct stack *s, const struct stack_mount *m, struct err *err);

#endif

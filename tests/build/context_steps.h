/*
 * What a test asks of a context, in place of a Dockerfile: the build arguments, in order,
 * each a step with a path. Paths are Latin-1: one character a byte.
 *
 *   need PATH       the bytes of what is at and below it ("": all)
 *   match SOURCE    the same of a source of COPY; where its ranges begin, how long they are
 *   list PATH       its entries
 *   digest PATH     of the tree; "PATH/": of the directory's contents
 *   hash PATH       sha256 of the file's bytes as they lie in the pack
 *   xattrs PATH     of the entry
 *   usage, prune N  all contexts; down to N bytes
 *   in-use          how many are
 *   hold PATH       until the file exists on this machine
 *
 * The answers, one a step that has one, are a JSON array.
 */
#ifndef TESTS_BUILD_CONTEXT_STEPS_H
#define TESTS_BUILD_CONTEXT_STEPS_H

#include "proto/runtime/buf.h"
#include "service/build/context/build_context.h"

struct step {
	char *name, *value;
};

int run_step(struct contexts *contexts, struct build_context *c, const struct step *step, struct cancel *cancel,
	     struct buf *out, struct err *err);

#endif

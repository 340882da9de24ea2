/*
 * A tree of files that a service sends, into a directory of the user's (--output type=local).
 *
 * The service is not trusted with more than that directory: names are checked, no link is
 * followed on the way (openat2 with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS), and what is there
 * under a name and is no directory is replaced, not written to. Files belong to the user; modes
 * and times are those of the image. Device nodes are made by root only and left out otherwise.
 *
 * One thread. Failure: E_IO in Go's words, E_INTERNAL when the service says what makes no sense.
 */
#ifndef CLIENT_CLI_BUILD_OUTPUT_TREE_H
#define CLIENT_CLI_BUILD_OUTPUT_TREE_H

#include "imaged/v1/build.pb-c.h"
#include "proto/runtime/mem.h"

struct output_tree;

/* The directory is made, with those above it. */
int output_tree_open(const char *path, struct output_tree **ret_tree, struct err *err);
/* What is in a directory comes directly behind it: its mode and times are set with the first that is not. */
int output_tree_entry(struct output_tree *t, const Imaged__V1__OutputEntry *m, struct err *err);
/* Of the file that came last. */
int output_tree_data(struct output_tree *t, struct bytes data, bool end, struct err *err);
/* The last file must be complete. */
int output_tree_finish(struct output_tree *t, struct err *err);
void output_tree_free(struct output_tree *t); /* NULL is fine */

#endif

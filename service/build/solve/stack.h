/*
 * Results that are found although what they stand on was made anew (build.md 2.1: keys of
 * definitions).
 *
 * A symbol says what a tree is without a word of what it turned out to be: an operation's is over those of its inputs,
 * and over the contents that it takes of contexts. When a step was made once more (--no-cache), and came
 * out as another layer, what stood on the old one has another key; by its symbol it is found all
 * the same. Its tree is then the old one, whole: its layer does not fit on any other. So each
 * result is known by a name of its own, over its symbol and its layer, and a note says for each
 * name the names of those below it.
 */
#ifndef SERVICE_BUILD_SOLVE_STACK_H
#define SERVICE_BUILD_SOLVE_STACK_H

#include "service/build/solve/inputs.h"

/* Of an operation whose inputs are there; in->digests are those of its contents, where it takes files of a context. */
struct digest symbol_of(const struct inputs *in);

/* A result's own name. */
struct digest result_name(const struct digest *symbol, const struct build_layer *l);

/* Under which the names below a result are noted. */
struct digest stack_note_key(const struct digest *name);

/* o->stack of an operation whose layer is on its first input's tree, or of one that joins trees. */
int stack_push(struct solving_op *o, struct err *err);
int stack_join(struct solving_op *o, struct err *err);

/* 1: found by o->symbol: o->layer and o->tree, the tree that it was made in. */
int stack_find(struct solving_op *o, struct err *err);

/* A result that is found and pinned. 1: o->pins has the key. */
int stack_find_layer(struct solving_op *o, const struct digest *key, struct build_layer **ret_layer, struct err *err);

#endif

/*
 * --explain: which part of a step's key is not what it was in the last build of its kind.
 *
 * The parts of each key are noted under the build's explain_id: of steps that were not found, and with
 * --explain of all. Values are kept as digests alone.
 */
#ifndef SERVICE_BUILD_SOLVE_EXPLAIN_H
#define SERVICE_BUILD_SOLVE_EXPLAIN_H

#include "proto/runtime/mem.h"

struct explainer;
struct inputs;
struct solving;
struct solving_op;

/* *ret_explainer NULL: nothing is asked or kept. */
int explainer_new(struct solving *b, struct explainer **ret_explainer, struct err *err);
void explainer_free(struct explainer *e); /* NULL is fine */

/* Its key is known. `looked`: the cache was asked. Tells its vertex, when it was not found. */
void explainer_note(struct explainer *e, struct solving_op *o, const struct inputs *in, bool looked, bool found);
/* At the end of the build. */
void explainer_keep(struct explainer *e);

/* ---- pure ----------------------------------------------------------------------- */

struct buf;

enum { CHANGES_TOLD_MAX = 100 };

/* A part: a line of a note. */
void explain_part(struct buf *note, const void *value, size_t len, const char *name, ...)
	__attribute__((format(printf, 4, 5)));

/* What differs between two notes, each a text of the heap; "file a changed", "variable B is new". */
size_t explain_compare(const char *before, const char *now, char *changes[CHANGES_TOLD_MAX]);

#endif

/*
 * The step that gc_blobs(), gc_prune() and the auditor share.
 */
#ifndef STORE_GC_COLLECT_H
#define STORE_GC_COLLECT_H

#include "store/gc/in_use.h"

/* Removes those of the candidates that nothing needs, with their layer records;
 * adds to *freed and *count. `doomed` may be NULL. */
int gc_collect(struct store *s, const struct digest *candidates, size_t n, const struct doomed *doomed, int64_t *freed,
	       size_t *count, struct err *err);

#endif

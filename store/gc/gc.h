/*
 * Garbage collection.
 *
 * Roots are image records, names and leases (lease.h); edges are the reverse edges
 * written with every record. gc_blobs() looks at given candidates only (what a removal
 * just let go of); gc_run() is the auditor: expired leases, edges without a parent,
 * indexes and blobs that nothing needs, old ingests. gc_prune() is for those who want
 * the space of interrupted operations now.
 *
 * Never a stop of the world: per digest, lock → look again at edges and leases →
 * unlink → delete its local record → unlock; content_commit() and
 * content_claim() take the same lock.
 */
#ifndef STORE_GC_GC_H
#define STORE_GC_GC_H

#include "store/content/ingest.h"
#include "store/gc/gone.h"

/* Removes those of the candidates that nothing needs; dead leases need nothing. */
int gc_blobs(struct store *s, const struct digest *candidates, size_t n, int64_t *ret_freed, struct err *err);

struct gc_result {
	int64_t blobs, bytes, leases, edges, ingest_bytes;
};

/* Ends dead leases and removes what only they held, with what else nothing needs, and
 * unfinished ingests that nobody has open, of any age. *ret_freed: bytes of all of it. With
 * dry_run it only says how many that would be once this is gone, too (NULL: nothing more). */
int gc_prune(struct store *s, bool dry_run, const struct gone *gone, struct cancel *cancel, int64_t *ret_freed,
	     struct err *err);

int gc_run(struct store *s, int64_t now_ns, struct cancel *cancel, struct gc_result *ret_result, struct err *err);

#endif

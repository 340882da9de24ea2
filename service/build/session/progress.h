/*
 * What a build tells while it goes on: steps as they begin and end, what they write, how far
 * transfers are, warnings. To the client that builds, and to the build's log.
 *
 * A step that several builds share tells each of them. To tell never fails: a client that has
 * gone is found by its cancel token.
 *
 * Threads: any, also for one vertex.
 */
#ifndef SERVICE_BUILD_SESSION_PROGRESS_H
#define SERVICE_BUILD_SESSION_PROGRESS_H

#include "imaged/v1/build.pb-c.h"
#include "store/types/digest.h"

struct progress;
struct vertex;

/* `name` is copied; `id` (may be NULL) tells a vertex that begins twice to be the same. NULL when
 * memory is short: all functions take that as nobody to tell. */
struct vertex *progress_begin(struct progress *p, const char *name, const struct digest *id);

/* Each ends it. */
void vertex_done(struct vertex *v);
void vertex_cached(struct vertex *v);
void vertex_failed(struct vertex *v, const struct err *why); /* E_CANCELLED: it was cancelled */

void vertex_log(struct vertex *v, bool is_stderr, struct bytes data);
/* "transferring context"; total 0: unknown. Often called: what comes too fast is left out, but not the
 * last with `done`. */
void vertex_status(struct vertex *v, const char *what, int64_t current, int64_t total, bool done);
/* --explain: what of its key is not what it was. Before it ends. */
void vertex_changed(struct vertex *v, const char *const *what, size_t n);

void progress_warning(struct progress *p, const Imaged__V1__BuildWarning *warning);

#endif

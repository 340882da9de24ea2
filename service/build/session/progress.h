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

#include "service/build/session/outbox.h"
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

/* A client that takes nothing for a second gets the rest no more. */
void vertex_log(struct vertex *v, bool is_stderr, struct bytes data);
/* Whether its client has taken enough for more; waits so long at the most. */
bool vertex_has_room(struct vertex *v, int64_t wait_ms);
/* "transferring context"; total 0: unknown. Often called: what comes too fast is left out, but not the
 * last with `done`. */
void vertex_status(struct vertex *v, const char *what, int64_t current, int64_t total, bool done);
/* --explain: what of its key is not what it was. Before it ends. */
void vertex_changed(struct vertex *v, const char *const *what, size_t n);

void progress_warning(struct progress *p, const Imaged__V1__BuildWarning *warning);

/* ---- of the session --------------------------------------------------------------- */

struct build_log;

/* `log` may be NULL; it is the caller's, and not written to after progress_free(). */
int progress_new(const struct progress_sink *sink, struct build_log *log, struct progress **ret_progress,
		 struct err *err);
/* Nobody tells anything any more; what was told is sent first. NULL is fine. */
void progress_free(struct progress *p);

/* Any other event that belongs to what is told, in its order. */
void progress_tell(struct progress *p, const Imaged__V1__BuildEvent *event);
/* Until what was told is sent, or the client has gone. */
void progress_flush(struct progress *p);
/* What has not ended has been cancelled. */
void progress_cancel_rest(struct progress *p);

struct progress_counts {
	uint32_t steps, cached, warnings;
};

struct progress_counts progress_counts(struct progress *p);

#endif

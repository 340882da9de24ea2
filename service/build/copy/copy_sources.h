/*
 * Sources of COPY and ADD that are no files yet: a URL, a git repository, a here-document.
 * Each becomes a context (build_context.h) of its own.
 *
 * A URL is asked whether it is still what it was the last time (ETag, Last-Modified: a note of
 * the step cache); a git reference for its commit, before anything is fetched. So a step
 * whose key is known by that needs no download: source_identify(), then source_open() only when
 * the bytes are needed.
 */
#ifndef SERVICE_BUILD_COPY_COPY_SOURCES_H
#define SERVICE_BUILD_COPY_COPY_SOURCES_H

#include "service/build/context/build_context.h"
#include "service/build/evaluate.h"
#include "service/registry/registry.h"
#include "store/cache/step_cache.h"

struct source_env {
	struct store *store;
	struct registry *registry;
	struct step_cache *cache; /* of notes */
	const char *worker_program;
	struct cancel *cancel;
	bool no_cache;
	bool has_epoch;
	int64_t epoch;
	/* Bytes so far and in all (0: unknown), for progress; NULL. */
	void (*progress)(void *arg, const char *what, int64_t current, int64_t total);
	void *arg;
};

/* What it is now, as part of the step's key. May fetch it: then *ret_context is set, else
 * NULL. E_DIGEST_MISMATCH: not what --checksum says. */
int source_identify(const struct source_env *e, const struct copy_source *source, const struct copy_step *step,
		    struct digest *ret_digest, struct build_context **ret_context, struct err *err);
/* Its bytes. */
int source_open(const struct source_env *e, const struct copy_source *source, const struct copy_step *step,
		struct build_context **ret_context, struct err *err);

#endif

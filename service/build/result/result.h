/*
 * What becomes of a build: its image in the store, archives, files for the client, a push, an
 * exported cache (build.md 1.4, 2.3).
 *
 * All on the thread of the call. The outputs come one after another, each as a vertex
 * ("exporting to image"), in BuildKit's words.
 */
#ifndef SERVICE_BUILD_RESULT_RESULT_H
#define SERVICE_BUILD_RESULT_RESULT_H

#include "service/build/layers/build_tree.h"
#include "service/build/session/progress.h"
#include "service/build/solve/solve.h"
#include "service/image/image_service.h"

/* What was built for one platform. */
struct built {
	struct platform platform;
	const struct image_config *config; /* history without times, diff IDs not yet in it */
	const struct image_config *base;   /* of the image below, whose history comes first; NULL */
	struct solution *solution;
	const struct plan *plan;
	const struct graph *graph;
};

/* Sends to the client: OutputEntry and OutputData. Waits while the client is slow. */
struct result_peer {
	int (*send)(void *arg, const Imaged__V1__BuildEvent *event, struct err *err);
	void *arg;
};

struct result_request {
	struct image_service *service;
	const Imaged__V1__BuildStart *start; /* also the credentials of the client, by registry */
	const struct built *built;
	size_t n_built;
	bool has_epoch;
	int64_t epoch;
	const char *build_id;
	int64_t started_ns;
	const char *provenance; /* JSON, for what the client is told */
	struct step_cache *cache;
	struct result_peer peer;
	struct progress *progress;
	struct cancel *cancel;
};

/* Fills in what BuildDone tells; its strings are in the arena. */
int result_export(const struct result_request *r, struct arena *a, Imaged__V1__BuildDone *done, struct err *err);

/* ---- caches elsewhere ------------------------------------------------------------- */

struct cache_imports;

/* --cache-from: the vertex "importing cache manifest from NAME" fails for those that cannot be
 * reached, and the build goes on. `imports` is what solve() takes. Contexts (of type=local) and files
 * outlive it, and so does `start`. What was brought is held until it is closed. */
int cache_imports_open(struct image_service *service, const Imaged__V1__BuildStart *start,
		       const struct solve_context *contexts, size_t n_contexts, struct layer_files *files,
		       struct progress *progress, struct cancel *cancel, struct cache_imports **ret_imports,
		       struct err *err);
const struct cache_import *cache_imports_all(const struct cache_imports *c, size_t *ret_n);
void cache_imports_close(struct cache_imports *c); /* NULL is fine */

#endif

/*
 * Caches of builds elsewhere: a manifest of a type of our own whose configuration says which
 * step made which layer, or the same within the configuration of an image (--cache-to type=inline).
 *
 *   {"version":1,
 *    "diff_ids":["sha256:…",…]             one for each of the manifest's layers; not inline
 *    "steps":[{"keys":["sha256:…",…],      of the step, the first is the one it is listed by
 *              "diff_id":"sha256:…","created":NANOSECONDS,"description":"[2/3] RUN make"},…]}
 *
 * Time and size are linear in the number of steps. A key says what a step does and what it does it to,
 * so whoever can write the cache can put any layer under it: a cache is trusted as a base image is.
 * That a layer is the one which the document names is checked when it comes.
 *
 * Pure. E_BAD_CONTENT, E_LIMIT past the numbers below.
 */
#ifndef SERVICE_BUILD_RESULT_CACHE_DOCUMENT_H
#define SERVICE_BUILD_RESULT_CACHE_DOCUMENT_H

#include "store/cache/step_cache.h"
#include "store/types/manifest.h"

#define CACHE_CONFIG_TYPE "application/vnd.imaged.buildcache.config.v1+json"
#define CACHE_INLINE_KEY "imaged.buildcache.v1"
#define BUILDKIT_CACHE_TYPE "application/vnd.buildkit.cacheconfig.v0"

enum { CACHE_STEPS_MAX = 20 * 1000 };

struct cached_step {
	struct digest keys[STEP_KEYS_MAX];
	size_t n_keys;
	struct digest diff_id;
	int64_t created_ns;
	char *description; /* never NULL once it was read */
};

struct cache_document {
	struct digest *diff_ids;
	size_t n_diff_ids;
	struct cached_step *steps;
	size_t n_steps;
};

int cache_document_write(const struct cache_document *d, struct buf *out, struct err *err);
int cache_document_parse(struct bytes json, struct cache_document *ret_document, struct err *err);
/* Of an image's configuration; diff IDs are those of its rootfs. E_NOT_FOUND: it has none. */
int cache_document_parse_inline(struct bytes config, struct cache_document *ret_document, struct err *err);
void cache_document_free(struct cache_document *d); /* also the cleanup function */

#endif

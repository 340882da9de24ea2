/*
 * Where a cache is read from: a registry, or an OCI layout that the client has. Private to
 * service/build/result.
 */
#ifndef SERVICE_BUILD_RESULT_CACHE_SOURCE_H
#define SERVICE_BUILD_RESULT_CACHE_SOURCE_H

#include "service/build/result/cache_document.h"
#include "service/build/result/result.h"

struct cache_source {
	struct repository *repository; /* one of both; neither: an image that is here */
	struct build_context *context;
	bool of_index; /* which may have another one for another platform */
	struct manifest manifest;
	struct cache_document document; /* one diff ID for each layer of the manifest */
};

/* E_UNSUPPORTED: a cache of BuildKit's own. On failure too it is to be closed. Of an index the one for
 * the platform. */
int cache_source_open_registry(struct image_service *service, const Imaged__V1__BuildStart *start,
			       const Imaged__V1__CacheSource *message, const struct platform *platform,
			       struct cancel *cancel, struct cache_source *s, struct err *err);
/* An image that is here, which need not have a cache in it. *ret_found: there is one of that name. */
int cache_source_open_image(struct image_service *service, const Imaged__V1__CacheSource *message,
			    struct cache_source *s, bool *ret_found, struct err *err);
int cache_source_open_local(struct build_context *context, const Imaged__V1__CacheSource *message,
			    struct cancel *cancel, struct cache_source *s, struct err *err);
void cache_source_close(struct cache_source *s);

/* All bytes of a blob into the ingest, which is finished then. */
int cache_source_fetch(struct cache_source *s, const struct descriptor *blob, struct ingest *ingest,
		       struct cancel *cancel, struct err *err);

#endif

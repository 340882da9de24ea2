/*
 * What builds keep, as messages of the API.
 */
#ifndef SERVICE_IMAGE_BUILD_CACHE_MESSAGE_H
#define SERVICE_IMAGE_BUILD_CACHE_MESSAGE_H

#include "service/image/image_service.h"
#include "store/cache/build_cache.h"

struct build_cache build_cache_of(const struct image_service *service);

/* In the arena; NULL: no memory. */
Imaged__V1__BuildCacheEntry *build_cache_message(struct arena *a, const struct build_cache_item *item);

enum { BUILD_CACHE_ANSWER_BYTES = 3 * 1024 * 1024 }; /* of entries: a message has at most 4 MiB */

#endif

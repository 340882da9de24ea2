/* --cache-to: what was solved, for builds elsewhere. Private to service/build/result. */
#ifndef SERVICE_BUILD_RESULT_CACHE_EXPORT_H
#define SERVICE_BUILD_RESULT_CACHE_EXPORT_H

#include "service/build/result/made.h"

/* Fills in image->cache: the steps whose layers are in the image. */
int cache_write_inline(struct made_image *image, struct err *err);

/* All others that BuildStart names, one after another. */
int caches_export(const struct result_request *r, struct err *err);

#endif

/*
 * --cache-to …,cache-mounts=true: what is in the directories that RUN --mount=type=cache has kept, as
 * layers. Those that begin with files of a stage (from=) stay, since they are others for each tree.
 * Private to service/build/result.
 */
#ifndef SERVICE_BUILD_RESULT_CACHE_MOUNT_EXPORT_H
#define SERVICE_BUILD_RESULT_CACHE_MOUNT_EXPORT_H

#include "service/build/result/cache_document.h"
#include "service/build/result/made.h"

/* A layer and a step for each. `layers` and `steps` have room for `max`; the steps' key is
 * cache_mount_key(). Waits for those who are in one. */
int cache_mounts_export(const struct result_request *r, struct made_layer *layers, struct cached_step *steps,
			size_t max, size_t *ret_n, struct err *err);

#endif

/* A configuration once more: what a stage starts with, and then changes. */
#ifndef SERVICE_BUILD_IMAGE_COPY_H
#define SERVICE_BUILD_IMAGE_COPY_H

#include "store/types/image_config.h"

/* `to` is zeros; on the heap (image_config_free(), also after a failure). *ret_bytes: about
 * how large it is. E_NO_MEMORY. */
int image_copy(const struct image_config *from, struct image_config *to, size_t *ret_bytes, struct err *err);

#endif

/*
 * Images that builds of this daemon have stood on, as far as it remembers: the latest few thousand.
 * Displays tell a FROM by it as BuildKit does. Threads: any.
 */
#ifndef SERVICE_BUILD_SESSION_USED_IMAGES_H
#define SERVICE_BUILD_SESSION_USED_IMAGES_H

#include "store/types/digest.h"

enum { USED_IMAGES_MAX = 4096 };

struct used_images;

struct used_images *used_images_new(void);    /* NULL: memory is short */
void used_images_free(struct used_images *u); /* NULL is fine */

/* Of its manifest; true when it was known before. NULL: nothing is. */
bool used_images_note(struct used_images *u, const struct digest *manifest);

#endif

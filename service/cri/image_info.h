/*
 * What ImageStatus tells besides when it is asked to be verbose.
 */
#ifndef SERVICE_CRI_IMAGE_INFO_H
#define SERVICE_CRI_IMAGE_INFO_H

#include "cri/v1/image.pb-c.h"
#include "store/image/image.h"

/* Under the key "info" a JSON object: chainID, labels, and as imageSpec the configuration.
 * In the arena. */
int cri_image_info(struct store *s, struct arena *a, const struct image *image,
		   Runtime__V1__ImageStatusResponse *response, struct err *err);

#endif

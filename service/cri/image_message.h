/*
 * Images of the store as messages of CRI. Results live in the arena and share nothing with
 * the image that they were made of.
 */
#ifndef SERVICE_CRI_IMAGE_MESSAGE_H
#define SERVICE_CRI_IMAGE_MESSAGE_H

#include "cri/v1/image.pb-c.h"
#include "store/image/image.h"

int cri_image_message(struct store *s, struct arena *a, const struct image *image, Runtime__V1__Image **ret_message,
		      struct err *err);

#endif

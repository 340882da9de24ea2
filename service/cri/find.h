/*
 * Which image an ImageSpec means.
 */
#ifndef SERVICE_CRI_FIND_H
#define SERVICE_CRI_FIND_H

#include "cri/v1/image.pb-c.h"
#include "store/image/image.h"

/* What a client calls the image; "" when it says nothing. Borrowed. */
const char *cri_image_name(const Runtime__V1__ImageSpec *spec);

/* *ret_found tells whether there is one: a name that is none, or that could be several
 * images, is as one that is not here. */
int cri_find(struct store *s, const Runtime__V1__ImageSpec *spec, struct arena *a, struct image *ret_image,
	     bool *ret_found, struct err *err);

/* E_INVALID where no image is named. */
int cri_require_name(const Runtime__V1__ImageSpec *spec, struct err *err);

#endif

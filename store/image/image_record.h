/*
 * Reading images by manifest; absence is E_NOT_FOUND here, for callers that word it.
 */
#ifndef STORE_IMAGE_IMAGE_RECORD_H
#define STORE_IMAGE_IMAGE_RECORD_H

#include "store/image/image.h"
#include "store/record.h"

int image_record_get(struct store *s, const struct digest *manifest, struct arena *arena,
		     Imaged__Store__V1__ImageRecord **ret_record, struct digest *ret_config, struct err *err);
int image_fill(struct store *s, const struct digest *manifest, struct arena *arena, struct image *ret_image,
	       struct err *err);

#endif

/*
 * ImageFilter, resolved once per call and asked for each image (docker-cli.md 3).
 */
#ifndef SERVICE_IMAGE_FILTER_H
#define SERVICE_IMAGE_FILTER_H

#include "imaged/v1/common.pb-c.h"
#include "store/image/image.h"

struct image_filter {
	const Imaged__V1__ImageFilter *message; /* NULL: everything */
	bool has_before, has_since;
	struct timestamp before, since, until; /* until: not present when not asked for */
};

/* Looks up `before` and `since`. E_NO_SUCH_IMAGE, E_INVALID_REFERENCE. */
int image_filter_init(struct store *s, const Imaged__V1__ImageFilter *message, struct image_filter *ret_filter,
		      struct err *err);

/* 1 when the image passes, with the names that do (in the arena); else 0.
 * E_INVALID_FILTER: a pattern of `references` is malformed. */
int image_filter_match(const struct image_filter *f, const struct image *image, struct arena *a, char ***ret_names,
		       size_t *ret_n, struct err *err);

/* Binds a page token to the filter it was given for. */
uint64_t image_filter_hash(const Imaged__V1__ImageFilter *message);

#endif

/*
 * The images that a build stands on: from the store where they are there for the platform,
 * else pulled under their names. Each once, all at the same time, each on a thread of its own;
 * its configuration is known before its layers are here.
 *
 *   base_images_want()     begins
 *   base_image_config()    waits for the configuration
 *   base_image_show()      tells the rest as progress of that step
 *   base_image_tree()      waits for the layers
 *
 * All functions are for the call's thread. Failure: E_NOT_FOUND and the like in BuildKit's
 * words, "NAME: failed to resolve source metadata for NAME: …".
 */
#ifndef SERVICE_BUILD_SESSION_BASE_IMAGE_H
#define SERVICE_BUILD_SESSION_BASE_IMAGE_H

#include "service/build/layers/build_tree.h"
#include "service/build/session/progress.h"
#include "service/image/image_service.h"
#include "store/types/image_config.h"

struct base_images;
struct base_image;

struct base_images_options {
	struct image_service *service;
	const Imaged__V1__BuildStart *start; /* credentials; whether to ask again */
	bool without_layers;		     /* nothing but configurations is wanted */
	struct progress *progress;
	struct cancel *cancel;
};

int base_images_new(const struct base_images_options *options, struct base_images **ret_images, struct err *err);
/* Ends what still runs. NULL is fine. */
void base_images_free(struct base_images *b);

/* `name`: as a FROM says it. */
int base_images_want(struct base_images *b, const char *name, const struct platform *platform,
		     struct base_image **ret_image, struct err *err);

/* One that is in the store already, and has no name of its own. */
int base_images_want_stored(struct base_images *b, const struct digest *manifest, const struct platform *platform,
			    struct base_image **ret_image, struct err *err);

/* Borrowed. */
int base_image_config(struct base_image *i, const struct image_config **ret_config, struct err *err);
/* Of its manifest; after its configuration. */
const struct digest *base_image_digest(const struct base_image *i);
/* As base_images_want() was told it, and by default with a tag; of base_images_want_stored() a digest only. */
const struct reference *base_image_reference(const struct base_image *i);
const struct platform *base_image_platform(const struct base_image *i);
/* It was in the store; after its configuration. */
bool base_image_is_stored(struct base_image *i);
/* The vertex is the image's from now on, which ends it. */
void base_image_show(struct base_image *i, struct vertex *v);
/* Referenced. */
int base_image_tree(struct base_image *i, struct build_tree **ret_tree, struct err *err);

#endif

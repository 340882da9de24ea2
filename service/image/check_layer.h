/*
 * CheckStore's images of layers: looked into, and made anew.
 *
 * A full check makes each image once more from its layer, into a file without a name, and
 * compares every byte: the writer gives the same bytes for the same tar. Where that cannot
 * be (no blob of the layer is here or sound, which has its own finding; no room; a read-only
 * store; an image of another version of the writer) its metadata are walked, and it is
 * counted. A quick one compares the superblock with its checksum.
 *
 * One image is made at a time in the whole service, however many checks run. Threads: a
 * struct layer_check belongs to one.
 */
#ifndef SERVICE_IMAGE_CHECK_LAYER_H
#define SERVICE_IMAGE_CHECK_LAYER_H

#include "service/image/image_service.h"
#include "store/check.h"

struct layer_check {
	struct image_service *service;
	bool quick;
	struct cancel *cancel;
	int64_t not_compared;
	struct layer_image *made; /* of the image that was looked into last, when it differs */
};

void layer_check_release(struct layer_check *c);

/* As check.look_into of store/check.h, with a struct layer_check. */
int layer_check_look_into(struct layer_check *c, const struct layer_image_entry *i, int fd,
			  const struct check_step *step, struct err *err);

/* Right after the finding: another image in its place, made of the layer; without the
 * layer the record goes, and what is left of the file. */
int layer_check_repair(struct layer_check *c, const struct layer_image_entry *i, struct err *err);

#endif

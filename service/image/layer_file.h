/*
 * A layer's image on its way from the workers into the store: what pull, load and import
 * share. The file is committed with the layer's record, by image_publish().
 */
#ifndef SERVICE_IMAGE_LAYER_FILE_H
#define SERVICE_IMAGE_LAYER_FILE_H

#include "service/layer/layer.h"
#include "store/layers/layer_image.h"

/* Whether what is on record about a layer is all: its image is there too. Without it (an
 * older store, a daemon that was killed just then) the layer is looked into once more. */
bool layer_file_is_made(struct store *s, const struct layer_facts *facts);

/* An empty image for a layer whose blob is all there, in `fd`; E_DISK_FULL at once where it
 * can be told that there is no room for it. */
int layer_file_begin(struct store *s, int fd, int64_t size, struct layer_image **ret_image, struct err *err);

/* Of a layer of which no more than the size of its blob is known: its image is hardly
 * smaller than what is compressed, and what a plain tar wraps may be much less than it. */
int64_t layer_file_least(enum compression compression, int64_t size);

/* layer_job_check(); that the disk is full comes with how full. */
int layer_file_check(struct store *s, struct layer_job *j, struct err *err);

/* layer_job_finish() of a job that writes into `image`; then the image is checked and
 * sealed. NULL: the job makes none. */
int layer_file_finish(struct store *s, struct layer_job *j, struct layer_image *image, struct cancel *cancel,
		      struct layer_facts *ret_facts, struct err *err);

/* Makes the image of a layer that is here, of any blob of it, whose bytes are hashed
 * whatever its name says; sealed, and not committed. E_NOT_FOUND: no blob of it is here;
 * E_CORRUPT: that blob is damaged; and as layer_file_finish(). `program`: imaged-layer. */
int layer_file_make(struct store *s, const char *program, const struct digest *diff_id, struct cancel *cancel,
		    struct layer_image **ret_image, struct err *err);

#endif

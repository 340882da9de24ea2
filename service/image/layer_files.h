/*
 * Images of layers for who wants to mount them: opened, or made first where a layer came
 * in without one (an older store), or with one of another version of the writer.
 *
 * Each is made once at a time, however many callers wait for it, each with its own cancel
 * token. Threads: any.
 */
#ifndef SERVICE_IMAGE_LAYER_FILES_H
#define SERVICE_IMAGE_LAYER_FILES_H

#include "service/image/layer_file.h"

struct layer_files;

/* `program`: path of imaged-layer. Both outlive it. */
int layer_files_new(struct store *s, const char *program, struct layer_files **ret_files, struct err *err);
/* Nobody is within layer_files_open() any more. */
void layer_files_free(struct layer_files *f);
void layer_files_freep(struct layer_files **f);

/* A read-only descriptor, the caller's. E_NOT_FOUND: no blob of the layer is here;
 * E_CORRUPT: that blob is damaged; what layer_job_finish() and layer_image_accept() fail
 * with; the token's code. */
int layer_files_open(struct layer_files *f, const struct digest *diff_id, struct cancel *cancel, int *ret_fd,
		     struct layer_image_facts *ret_facts, struct err *err);

/* How many it has made. */
unsigned layer_files_made(struct layer_files *f);

#endif

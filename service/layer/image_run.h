/*
 * `imaged-layer erofs`: images of the layers of one pull, one after another, each from
 * the tar that comes through its pipe.
 */
#ifndef SERVICE_LAYER_IMAGE_RUN_H
#define SERVICE_LAYER_IMAGE_RUN_H

#include "proto/runtime/err.h"

/* Until the daemon closes the socket. Fails when it speaks nonsense. */
int image_run(int socket, struct err *err);

#endif

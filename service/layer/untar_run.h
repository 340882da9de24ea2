/*
 * `imaged-layer untar`: the tar in a stream as the records of untar_format.h.
 */
#ifndef SERVICE_LAYER_UNTAR_RUN_H
#define SERVICE_LAYER_UNTAR_RUN_H

#include "proto/runtime/err.h"

/* Serves the one stream of a process; returns when its answer was sent. */
int untar_run(int socket, struct err *err);

#endif

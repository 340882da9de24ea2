/*
 * `imaged-layer tar`: answers blocks of one archive until the daemon closes the socket.
 * One thread.
 */
#ifndef SERVICE_LAYER_WALK_RUN_H
#define SERVICE_LAYER_WALK_RUN_H

#include "proto/runtime/err.h"

/* OK when the daemon has closed; E_WORKER: it speaks nonsense. */
int walk_run(int socket, struct err *err);

#endif

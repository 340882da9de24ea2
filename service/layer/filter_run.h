/*
 * `imaged-layer inflate`: takes its limits from the socket (FILTER), then inflates from
 * descriptor 0 to descriptor 1 until the input ends, and says RESULT or FAILED.
 *
 * What the stream is its first bytes tell: gzip, zstd, xz or bzip2; a plain one is
 * refused. One thread; waits in read and write only.
 */
#ifndef SERVICE_LAYER_FILTER_RUN_H
#define SERVICE_LAYER_FILTER_RUN_H

#include "proto/runtime/err.h"

/* OK when an answer was given, or the daemon has closed; else nobody is to be answered. */
int filter_run(int socket, struct err *err);

#endif

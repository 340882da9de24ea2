/*
 * `imaged-layer inflate` and `imaged-layer untar`: takes its limits from the socket (FILTER),
 * then inflates from descriptor 0 until the input ends, and says RESULT or FAILED. To
 * descriptor 1 goes the stream as it is, or something that is made of it.
 *
 * What the stream is its first bytes tell: gzip, zstd, xz or bzip2; a plain one is refused,
 * unless the output takes it. One thread; waits in read and write only.
 */
#ifndef SERVICE_LAYER_FILTER_RUN_H
#define SERVICE_LAYER_FILTER_RUN_H

#include "service/layer/protocol.h"

/* What becomes of the plain stream. */
struct filter_output {
	void *arg;
	bool takes_plain; /* a stream that is not compressed, too */
	int (*begin)(void *arg, const struct layer_limits *limits, struct err *err);
	int (*take)(void *arg, const uint8_t *data, size_t len, struct err *err);
	int (*finish)(void *arg, uint64_t *ret_written, struct err *err); /* bytes to descriptor 1 */
};

/* OK when an answer was given, or the daemon has closed; else nobody is to be answered. */
int filter_run(int socket, struct err *err);
int filter_run_into(int socket, const struct filter_output *output, struct err *err);

/* To descriptor 1. */
int filter_write(const uint8_t *data, size_t len, struct err *err);

#endif

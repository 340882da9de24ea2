/*
 * How a stream is compressed, as its first bytes tell: the daemon asks it (for an
 * archive from outside) as well as the worker.
 *
 * Without state; any thread.
 */
#ifndef SERVICE_LAYER_MAGIC_H
#define SERVICE_LAYER_MAGIC_H

#include <stdbool.h>

#include "proto/runtime/mem.h"

enum inflate_format { INFLATE_PLAIN, INFLATE_GZIP, INFLATE_ZSTD, INFLATE_XZ, INFLATE_BZIP2 };

enum { INFLATE_MAGIC = 6 }; /* bytes that tell the format */

bool begins_with(struct bytes start, const char *magic, size_t len);

/* Of a stream that begins with these bytes (the first INFLATE_MAGIC, or all there are). */
enum inflate_format magic_format(struct bytes start);

/* Of a file, whatever its descriptor's position. */
int magic_of_file(int fd, enum inflate_format *ret_format, struct err *err);

#endif

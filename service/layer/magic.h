/*
 * How a stream is compressed, as its first bytes tell: the daemon asks it (for an
 * archive from outside) as well as the worker.
 *
 * A pure function; any thread.
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

#endif

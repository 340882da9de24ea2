/*
 * How much builds may keep, as the configuration says it. Pure.
 */
#ifndef SERVICE_CONFIG_CACHE_LIMITS_H
#define SERVICE_CONFIG_CACHE_LIMITS_H

#include "proto/runtime/mem.h"

struct cache_limits {
	int64_t max_bytes; /* < 0: any; 0: a tenth of the file system, at least CACHE_BYTES_LEAST */
	int64_t unused_ns; /* what was not used for so long goes; < 0: nothing by age */
};

#define CACHE_BYTES_LEAST (INT64_C(2) << 30)

/* max_bytes on a file system of this size; < 0: any. */
int64_t cache_limits_bytes(const struct cache_limits *l, int64_t disk_bytes);

/* NULL: the default. "20GB", "none"; "14d", "36h", "none". E_INVALID names the key. */
int cache_limits_parse(const char *max, const char *unused, struct cache_limits *ret_limits, struct err *err);

#endif

/*
 * Content-Range of a 206 (RFC 9110, 14.4): "bytes 5-9/10". Pure.
 */
#ifndef SERVICE_REGISTRY_CONTENT_RANGE_H
#define SERVICE_REGISTRY_CONTENT_RANGE_H

#include "proto/runtime/mem.h"

struct content_range {
	int64_t first, last; /* first <= last */
	int64_t total;	     /* > last, or -1 for '*' */
};

/* False when there is none (NULL) or it is malformed. */
bool content_range_parse(const char *value, struct content_range *ret_range);

/* Whether it goes on at `offset` of a body of `size` bytes. */
bool content_range_continues(const char *value, int64_t offset, int64_t size);

#endif

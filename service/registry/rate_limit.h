/*
 * What a registry says about how much it still gives: "ratelimit-limit: 100;w=21600",
 * "ratelimit-remaining: 76;w=21600", "docker-ratelimit-source: 192.0.2.1". Pure.
 */
#ifndef SERVICE_REGISTRY_RATE_LIMIT_H
#define SERVICE_REGISTRY_RATE_LIMIT_H

#include "proto/runtime/mem.h"

enum { RATE_SOURCE_MAX = 128 };

struct rate_limit {
	bool known;			    /* a number of what remains was sent */
	int64_t limit, remaining, window_s; /* 0 where it was not sent */
	char source[RATE_SOURCE_MAX];	    /* printable ASCII; whom the registry counts for */
};

/* Values of the three headers; NULL: not sent. A malformed one is none; of a list only the
 * first item counts. False when nothing is known. */
bool rate_limit_parse(const char *limit, const char *remaining, const char *source, struct rate_limit *ret_rate);

/* A tenth of the limit or less remains. */
bool rate_limit_is_low(const struct rate_limit *r);

#endif

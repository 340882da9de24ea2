/*
 * What a client wants built, as a message of our own: `start` lives no longer than the next
 * message, and the build needs it to its end.
 */
#ifndef SERVICE_BUILD_SESSION_BUILD_REQUEST_H
#define SERVICE_BUILD_SESSION_BUILD_REQUEST_H

#include "imaged/v1/build.pb-c.h"
#include "proto/runtime/arena.h"

enum {
	BUILD_CONTEXTS_MAX = 256,
	BUILD_PLATFORMS_MAX = 16,
	BUILD_LIST_MAX = 1000, /* of anything else that is repeated */
	BUILD_SECRET_BYTES_MAX = 500 * 1024,
	BUILD_START_BYTES_MAX = 64 * 1024 * 1024, /* unpacked */
};

/* A copy in the arena. */
int build_request_copy(const Imaged__V1__BuildStart *start, struct arena *a, Imaged__V1__BuildStart **ret_start,
		       struct err *err);

/* What can be refused before anything is asked for: E_INVALID in BuildKit's words, E_LIMIT. */
int build_request_check(const Imaged__V1__BuildStart *start, struct err *err);

/* Secrets and passwords, once the build is over. */
void build_request_wipe(Imaged__V1__BuildStart *start);

#endif

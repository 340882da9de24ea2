/*
 * Whom the entries of an archive belong to. Contexts of clients have no owners: theirs is root
 * (build.md 1.3).
 */
#ifndef SERVICE_BUILD_CONTEXT_CONTEXT_OWNERS_H
#define SERVICE_BUILD_CONTEXT_CONTEXT_OWNERS_H

#include <stdbool.h>
#include <stdint.h>

struct context_owner {
	uint32_t uid, gid;
	bool is_made; /* a directory that the archive has no entry of */
};

#endif

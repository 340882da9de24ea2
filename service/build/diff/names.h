/*
 * The names in a directory, in the order of their bytes.
 */
#ifndef SERVICE_BUILD_DIFF_NAMES_H
#define SERVICE_BUILD_DIFF_NAMES_H

#include "proto/runtime/mem.h"

struct names {
	char **sorted;
	size_t n, room;
	size_t bytes; /* of memory */
};

void names_free(struct names *n); /* also the cleanup function */

/* Of the directory that a descriptor is of; E_LIMIT when they take more than `max` bytes. */
int names_read(int dir, size_t max, struct names *ret_names, struct err *err);
bool names_have(const struct names *n, const char *name);

#endif

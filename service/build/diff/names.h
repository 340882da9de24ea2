/*
 * The names in a directory, in the order of their bytes.
 */
#ifndef SERVICE_BUILD_DIFF_NAMES_H
#define SERVICE_BUILD_DIFF_NAMES_H

#include "proto/runtime/mem.h"

struct entry_names {
	char **sorted;
	size_t n, room;
	size_t bytes; /* of memory */
};

void entry_names_free(struct entry_names *n); /* also the cleanup function */

/* Of the directory that a descriptor is of; E_LIMIT when they take more than `max` bytes. */
int entry_names_read(int dir, size_t max, struct entry_names *ret_names, struct err *err);
bool entry_names_have(const struct entry_names *n, const char *name);

#endif

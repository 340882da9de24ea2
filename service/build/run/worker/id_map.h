/*
 * The ids of a user namespace for steps without privileges: 0 is the daemon's own user, and
 * behind it come the ranges that /etc/subuid and /etc/subgid give it, as rootless podman has it.
 */
#ifndef SERVICE_BUILD_RUN_WORKER_ID_MAP_H
#define SERVICE_BUILD_RUN_WORKER_ID_MAP_H

#include <sys/types.h>

#include "proto/runtime/mem.h"

enum { ID_RANGES_MAX = 16 };

struct id_range {
	uint32_t inside, outside, count;
};

struct id_map {
	struct id_range range[ID_RANGES_MAX];
	size_t n;
};

/* The ranges of a user in the text of subuid(5), behind `own`. Pure. */
void id_map_parse(struct bytes text, const char *name, uint32_t own, struct id_map *ret_map);

/* Gives a process, which is in a new user namespace, its ids: all of them by newuidmap and newgidmap, else one.
 * *ret_single tells which. */
int id_map_apply(pid_t pid, bool single, bool *ret_single, struct err *err);

#endif

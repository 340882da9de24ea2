/*
 * The mounts that this process sees, of /proc/self/mountinfo (proc(5)).
 */
#ifndef SERVICE_MOUNT_MOUNTINFO_H
#define SERVICE_MOUNT_MOUNTINFO_H

#include "proto/runtime/arena.h"

enum { MOUNTINFO_BYTES_MAX = 256 * 1024 * 1024 };

struct mountinfo_line {
	uint64_t mount_id;
	struct bytes point; /* where, without escapes; any bytes but NUL */
	struct bytes source;
	struct bytes type;
};

typedef int mountinfo_visit(void *arg, const struct mountinfo_line *line);

/* Takes one line apart, in place (point and source lose their escapes). False: it is none. */
bool mountinfo_parse(char *line, struct mountinfo_line *ret_line);

/* Visits every mount in the order in which they were made; what the visitor keeps it
 * copies. A negative code of the visitor ends it, and is returned. */
int mountinfo_read(mountinfo_visit *visit, void *arg, struct err *err);

#endif

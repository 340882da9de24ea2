/*
 * The limits of a step, as files of its cgroups: which controller, in which hierarchy, under
 * which name (kernel: admin-guide/cgroup-v2.rst, cgroup-v1/).
 */
#ifndef SERVICE_BUILD_RUN_WORKER_CGROUP_LIMITS_H
#define SERVICE_BUILD_RUN_WORKER_CGROUP_LIMITS_H

#include "service/build/run/worker/cgroup.h"

struct cgroup_limits {
	const char *path;
	const struct cgroup_place *unified;
	/* Makes the cgroup in a v1 hierarchy; `controllers` as the kernel lists them. */
	int (*add_v1)(void *arg, const char *controllers, const struct cgroup_place **ret_place, struct err *err);
	void *arg;
	int memory; /* set: the directory that accounts memory, or -1 */
};

/* E_UNSUPPORTED: no hierarchy has the controller; E_INVALID: the kernel refuses the value. */
int cgroup_limits_set(struct cgroup_limits *s, const Imaged__Run__RunLimits *limits, struct err *err);

/* A file of a cgroup, in one write or read; -1 with errno. The text ends with a NUL. */
int cgroup_write(int dir, const char *file, const char *text);
int cgroup_read(int dir, const char *file, char *text, size_t size);

#endif

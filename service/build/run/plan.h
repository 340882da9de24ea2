/*
 * A step as the caller describes it, turned into what imaged-run reads: the plan in a memfd
 * and the descriptors beside it.
 */
#ifndef SERVICE_BUILD_RUN_PLAN_H
#define SERVICE_BUILD_RUN_PLAN_H

#include "service/build/run/plan.pb-c.h"
#include "service/build/run/run.h"

struct plan_terminal {
	unsigned columns, rows;
};

/* Checks and packs. E_INVALID, E_LIMIT. The descriptor is the caller's. `terminal` NULL: it has none. */
int plan_of_step(const struct run_config *c, const struct run_step *step, const struct plan_terminal *terminal,
		 int *ret_memfd, struct err *err);
int plan_of_layer(const struct run_config *c, const struct run_layer *layer, int *ret_memfd, struct err *err);
int plan_of_removal(const struct run_config *c, int *ret_memfd, struct err *err);

/* The descriptors of mounts, in the order that the plan counts them in. How many; `out` may be NULL. */
size_t plan_mount_fds(const struct run_mount *mounts, size_t n, int *out);

/* NULL: the usual one. E_INVALID. */
int plan_check_cgroup_parent(const char *parent, struct err *err);

/* Of the OCI runtime: the one that is configured, or the first that is there. E_UNSUPPORTED: none. */
int plan_find_runtime(const char *configured, char *out, size_t size, bool *ret_is_runc, struct err *err);

#endif

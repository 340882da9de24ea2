/*
 * cgroups that steps left when their supervisor was killed. As root; else there are none.
 */
#ifndef SERVICE_BUILD_RUN_CGROUP_LEFTOVERS_H
#define SERVICE_BUILD_RUN_CGROUP_LEFTOVERS_H

#include "proto/runtime/err.h"

/* In every hierarchy. `parent` NULL: the default one. */
void cgroup_leftovers_remove(const char *parent, const char *id);
/* All below the parent that begin so: no such step may run. */
int cgroup_leftovers_sweep(const char *parent, const char *prefix, unsigned *ret_removed, struct err *err);

#endif

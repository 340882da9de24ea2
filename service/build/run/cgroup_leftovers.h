/*
 * cgroups that steps left when their supervisor was killed. As root; else there are none.
 */
#ifndef SERVICE_BUILD_RUN_CGROUP_LEFTOVERS_H
#define SERVICE_BUILD_RUN_CGROUP_LEFTOVERS_H

/* In every hierarchy. `parent` is one that plan_check_cgroup_parent() takes; NULL: the default one. */
void cgroup_leftovers_remove(const char *parent, const char *id);
/* All below the parent that begin so: no such step may run. How many. */
unsigned cgroup_leftovers_sweep(const char *parent, const char *prefix);

/* Removes PARENT, and those above it, as far as they are empty and were made for steps. */
void cgroup_leftovers_forget(const char *parent);

#endif

/*
 * Directories of RUN steps, ROOT/builds/steps/ID: where an overlay has its upper.
 *
 * They are emptied behind the build, by one thread of the daemon.
 */
#ifndef SERVICE_BUILD_SOLVE_STEP_DIRECTORY_H
#define SERVICE_BUILD_SOLVE_STEP_DIRECTORY_H

#include "service/build/run/run.h"
#include "store/store.h"

struct step_directories;

/* Nothing is made yet. */
int step_directories_new(struct store *s, const struct run_config *run, struct step_directories **ret_directories,
			 struct err *err);
/* Waits until what was given back is gone. NULL is fine. */
void step_directories_free(struct step_directories *d);
/* Those of a process that was killed, and its cgroups. */
void step_directories_sweep(struct step_directories *d);

struct step_directory {
	char id[RUN_ID_MAX];
	int fd;
};

/* The step's cgroup will be below cgroup_parent; NULL: the default. E_UNSUPPORTED: the store is on an overlay. */
int step_directory_make(struct step_directories *d, const char *cgroup_parent, struct step_directory *ret_directory,
			struct err *err);
/* Empties and removes it, later. */
void step_directory_give_back(struct step_directories *d, struct step_directory *directory);

#endif

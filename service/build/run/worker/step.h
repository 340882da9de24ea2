/*
 * What the first process of a step's namespaces does: puts the root file system together, runs the step
 * in it, or writes its layer, or removes it.
 */
#ifndef SERVICE_BUILD_RUN_WORKER_STEP_H
#define SERVICE_BUILD_RUN_WORKER_STEP_H

#include "service/build/run/plan.pb-c.h"
#include "service/build/run/protocol.h"

/* What came over the socket. */
struct step_plan {
	Imaged__Run__RunPlan *plan; /* not NULL; checked by plan_check() */
	const int *fds;
	size_t n_fds;
	bool is_root;		    /* as a user with privileges, and not in a user namespace of its own */
	bool single_id;		    /* of the user namespace: 0 is the only one */
	const char *cgroup;	    /* path below the root of the hierarchies */
	const char *id, *workspace; /* the plan's, as strings */
};

int step_run(const struct step_plan *p, struct run_report *report, struct err *err);

static inline const int *step_lowers(const struct step_plan *p)
{
	return p->fds + RUN_FD_LOWERS;
}

/* A plan that a daemon of this build can have made. E_WORKER. */
int step_check(const struct step_plan *p, struct err *err);

#endif

/*
 * A RUN that failed, kept for who wants to look at it.
 */
#ifndef SERVICE_BUILD_SOLVE_FAILED_H
#define SERVICE_BUILD_SOLVE_FAILED_H

#include "service/build/solve/step_run.h"

struct solve_failed {
	struct step_run run;
};

void solve_failed_free(struct solve_failed *f); /* NULL is fine */

#endif

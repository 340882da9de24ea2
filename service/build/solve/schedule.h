/*
 * The scheduler of a build, for the files of this folder.
 */
#ifndef SERVICE_BUILD_SOLVE_SCHEDULE_H
#define SERVICE_BUILD_SOLVE_SCHEDULE_H

#include "service/build/solve/solving.h"

/* Solves all operations of which the state is STATE_WAITING; no thread of the build is left then. The
 * first failure, or the token's. */
int solving_run(struct solving *b, struct err *err);

/* For who is no thread of the build: another build has made it, or has failed to. */
void solving_done_elsewhere(struct solving_op *o);
void solving_again(struct solving_op *o);

#endif

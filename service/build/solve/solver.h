/*
 * The daemon's part of solving: how many operations run at once, where steps have their
 * directories, and which results several builds share. For the files of this folder.
 */
#ifndef SERVICE_BUILD_SOLVE_SOLVER_H
#define SERVICE_BUILD_SOLVE_SOLVER_H

#include <pthread.h>

#include "service/build/solve/flight.h"
#include "service/build/solve/solve.h"
#include "service/build/solve/step_directory.h"

struct solver {
	struct solver_options options;
	struct step_directories *directories;
	pthread_mutex_t mu;	/* guards what follows, and the flights but their logs */
	pthread_cond_t changed; /* a permit came back, a flight was kept or lost */
	unsigned permits;
	struct flight *flights; /* by their key, while they are made and put into the cache */
};

/* One of `parallel` permits; waits with the token. */
int solver_enter(struct solver *s, struct cancel *cancel, struct err *err);
void solver_leave(struct solver *s);

#endif

/*
 * Moves what a step writes to whoever wants it, until the step is over: its pipes, the
 * worker's words and the cancel token in one loop, with one buffer.
 */
#ifndef SERVICE_BUILD_RUN_PUMP_H
#define SERVICE_BUILD_RUN_PUMP_H

#include "service/build/run/worker_process.h"

enum { PUMP_OUT, PUMP_ERRORS, PUMP_LAYER, PUMP_STREAMS };

struct pump {
	int from[PUMP_STREAMS]; /* standard output and error, the layer; -1: there is none */
	const struct run_output *out;
	const struct run_sink *layer;
};

/* OK with the worker's report, whatever it says, when all was written. Else what ended it: the token's
 * code, the writer's, E_WORKER; the worker has ended all the same. */
int pump_run(const struct pump *p, struct worker_process *w, struct cancel *cancel, struct run_report *report,
	     struct err *err);

#endif

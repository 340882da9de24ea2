/*
 * Moves what a step writes to whoever wants it, until the step is over: two pipes, the
 * worker's words and the cancel token in one loop, with one buffer.
 */
#ifndef SERVICE_BUILD_RUN_PUMP_H
#define SERVICE_BUILD_RUN_PUMP_H

#include "service/build/run/worker_process.h"

struct pump {
	int from[2]; /* standard output and error, or one stream and -1; or -1 and -1 */
	int (*write)(void *arg, enum run_stream stream, struct bytes piece, struct err *err);
	int (*write_one)(void *arg, struct bytes piece, struct err *err); /* without a stream */
	void *arg;
};

/* OK with the worker's report, whatever it says, when all was written. Else what ended it: the token's
 * code, the writer's, E_WORKER; the worker has ended all the same. */
int pump_run(const struct pump *p, struct worker_process *w, struct cancel *cancel, struct run_report *report,
	     struct err *err);

#endif

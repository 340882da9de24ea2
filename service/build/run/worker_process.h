/*
 * One imaged-run as the daemon holds it: started with its plan, listened to, ended.
 *
 * Belongs to one thread, which must live as long as the process (its end is the end of it).
 */
#ifndef SERVICE_BUILD_RUN_WORKER_PROCESS_H
#define SERVICE_BUILD_RUN_WORKER_PROCESS_H

#include <sys/types.h>

#include "service/build/run/plan.h"
#include "service/build/run/protocol.h"

struct worker_process {
	pid_t pid; /* 0: there is none */
	int socket;
	int init; /* pidfd of the step's first process, -1 before it is known */
	bool stopped;
};

#define WORKER_PROCESS_INIT              \
	{                                \
		.socket = -1, .init = -1 \
	}

/* What it gets beside the plan; -1 is /dev/null. */
struct worker_gifts {
	int plan, out, errors, layer, directory;
	const int *lowers;
	size_t n_lowers;
	const struct run_mount *mounts;
	size_t n_mounts;
};

/* E_WORKER with the path and the reason. */
int worker_process_start(const char *program, const struct worker_gifts *g, struct worker_process *w, struct err *err);

/* Tells it to stop; its report is still to come. */
void worker_process_stop(struct worker_process *w);

/* Its next word; a pidfd is kept in `init`. *ret_done: `report` is it. E_WORKER when it died, of which
 * the text tells; nothing of the step lives then. */
int worker_process_listen(struct worker_process *w, struct run_report *report, bool *ret_done, struct err *err);

/* Waits for its end; kills it when it has not reported. Also the cleanup function. */
void worker_process_end(struct worker_process *w);

#endif

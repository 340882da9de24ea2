/*
 * The OCI runtime: one container, from its bundle to its exit code.
 *
 * By the first process of a PID namespace, which waits for all that becomes its child meanwhile.
 */
#ifndef SERVICE_BUILD_RUN_WORKER_RUNTIME_H
#define SERVICE_BUILD_RUN_WORKER_RUNTIME_H

#include "service/build/run/worker/workspace.h"

struct runtime {
	const char *program;
	bool is_runc;
	const char *workspace; /* absolute path */
	const char *id;
	int out, errors;   /* the step's */
	bool has_terminal; /* `out` is a socket, to which it is sent (protocol.h) */
};

/* Fills exit_code, and text where the command could not be started (126, 127). E_WORKER with the
 * runtime's words when it could not make the container. */
int runtime_run(const struct runtime *r, struct run_report *report, struct err *err);

/* What a runtime's word about a command that does not start means: 126, 127, or 0: it is about
 * something else. Pure. */
int runtime_start_failure(const char *message);

#endif

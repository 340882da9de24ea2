/*
 * Operations, executed: what they make as a tar into a layer's writer.
 */
#ifndef SERVICE_BUILD_SOLVE_EXECUTE_H
#define SERVICE_BUILD_SOLVE_EXECUTE_H

#include "service/build/solve/inputs.h"

struct execution {
	struct inputs *in;
	struct flight *flight; /* its token, and who hears what is written */
	bool entered;	       /* has one of the permits */
};

/* Fails as the step does. */
int execute(struct execution *x, struct build_layer **ret_layer, struct err *err);

/* RUN. E_UNKNOWN in BuildKit's words when the command failed. */
int execute_run(struct execution *x, struct build_layer **ret_layer, struct err *err);

/* Waits for a permit; execution_leave() gives it back, if there is one. */
int execution_enter(struct execution *x, struct err *err);
void execution_leave(struct execution *x);

/* A writer of the build. */
int execution_begin_layer(const struct execution *x, struct build_layer_writer **ret_writer, struct err *err);

#endif

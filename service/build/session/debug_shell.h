/*
 * --debug-shell: a shell of the client in the place of a RUN that failed. Inside of this folder.
 *
 * The first ShellOutput, which is empty, tells the client that it begins; what the client
 * types before is nobody's.
 */
#ifndef SERVICE_BUILD_SESSION_DEBUG_SHELL_H
#define SERVICE_BUILD_SESSION_DEBUG_SHELL_H

#include "service/build/evaluate.h"
#include "service/build/session/session.h"
#include "service/build/solve/solve.h"

/* The shell of the failed step's stage, until it ends. What fails of it is told in it, and changes nothing of the
 * build. */
void debug_shell_run(struct session *s, const struct solution *solution, const struct evaluation *evaluation);

/* The thread that receives. E_LIMIT: the shell does not read it. */
int debug_shell_take(struct session *s, const Imaged__V1__ShellInput *m, struct err *err);
/* The client sends nothing more. */
void debug_shell_end_input(struct session *s);

#endif

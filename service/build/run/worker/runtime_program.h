/*
 * The OCI runtime's program, executed so that no container can write to it through /proc/PID/exe: from a read-only
 * mount of its own, which is nowhere any more when it runs. crun does the same by itself when it was not told that this
 * is done, and has to start a second time for it: a good part of what a short step costs.
 *
 * In the workspace (workspace.h), by the process that is alone in its namespace.
 */
#ifndef SERVICE_BUILD_RUN_WORKER_RUNTIME_PROGRAM_H
#define SERVICE_BUILD_RUN_WORKER_RUNTIME_PROGRAM_H

#include <stdbool.h>

/* Mounts it at WORKSPACE/bin/runtime. False: it is to be started from where it is, and told nothing. */
bool runtime_program_mount(const char *program);
/* It has been started. */
void runtime_program_unmount(void);

#define RUNTIME_PROGRAM "bin/runtime"
/* By which it knows that this is done. */
#define RUNTIME_PROGRAM_ENVIRONMENT "_LIBCONTAINER_CLONED_BINARY=1"

#endif

/*
 * The life of imaged-run: takes one plan from its socket, gives its process a cgroup and
 * namespaces, watches over it, cleans up and reports (protocol.h).
 *
 * It stays outside the namespaces. The step's first process is init of the PID namespace:
 * whoever kills it has killed all of the step, and it dies with the supervisor.
 */
#ifndef SERVICE_BUILD_RUN_WORKER_SUPERVISE_H
#define SERVICE_BUILD_RUN_WORKER_SUPERVISE_H

#include "proto/runtime/err.h"

/* Until the step is over and told. Fails only when there is nobody to tell. */
int supervise(int socket, struct err *err);

#endif

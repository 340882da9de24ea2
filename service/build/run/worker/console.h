/*
 * The socket on which an OCI runtime hands over the terminal that it has made for a container.
 */
#ifndef SERVICE_BUILD_RUN_WORKER_CONSOLE_H
#define SERVICE_BUILD_RUN_WORKER_CONSOLE_H

#include <sys/types.h>

#include "proto/runtime/err.h"

/* Listens at a path. E_UNSUPPORTED: it is longer than an address can be. */
int console_listen(const char *path, int *ret_listener, struct err *err);

/* Waits for the terminal; *ret_fd -1: the runtime ended without. */
int console_take(int listener, pid_t runtime, int *ret_fd, struct err *err);

#endif

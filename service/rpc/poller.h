/*
 * The threads that wait on the completion queue and run what completes.
 */
#ifndef SERVICE_RPC_POLLER_H
#define SERVICE_RPC_POLLER_H

#include "proto/runtime/mem.h"

struct rpc_server;

int pollers_start(struct rpc_server *s, struct err *err);

/* After this nothing may start an operation. Shuts the queue down, runs it empty,
 * and joins the threads. */
void pollers_stop(struct rpc_server *s);

#endif

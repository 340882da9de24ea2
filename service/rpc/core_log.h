/*
 * What gRPC itself complains about (failed TLS handshakes, refused binds) goes to
 * the server's log function instead of stderr, with the method "gRPC", and no
 * more than a few lines a second: peers cause them at will. GRPC_VERBOSITY in the
 * environment brings gRPC's own log back.
 */
#ifndef SERVICE_RPC_CORE_LOG_H
#define SERVICE_RPC_CORE_LOG_H

#include "service/rpc/server.h"

/* Process-wide, as gRPC's log is: the latest server gets the lines. NULL: nobody.
 * Before grpc_init(). */
void core_log_attach(rpc_log_fn *log, void *arg);

/* If they still go to this one; no line is on its way there when this returns. */
void core_log_detach(rpc_log_fn *log, const void *arg);

#endif

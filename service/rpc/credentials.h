/*
 * TLS of one port, from files that may be replaced while it is served.
 *
 * gRPC asks for the certificates at each handshake, so the files are read then: connections
 * that come after a file was replaced, rewritten or swapped by a symbolic link get what is
 * there now, those that exist live on. What cannot be served (half written, expired, a key of
 * another certificate) leaves the ones before in use and is told to the log once.
 */
#ifndef SERVICE_RPC_CREDENTIALS_H
#define SERVICE_RPC_CREDENTIALS_H

#include <grpc/grpc_security.h>

#include "service/rpc/server.h"

struct credentials;

/* With a client CA a verified client certificate is demanded (mutual TLS); without one
 * tls->allow_anonymous must say that nobody needs any. Put in front of *list, which the
 * caller frees after the server that uses it; it releases *ret_grpc. E_INVALID names the
 * file and what is wrong. */
int credentials_new(const struct rpc_tls *tls, rpc_log_fn *log, void *log_arg, struct credentials **list,
		    grpc_server_credentials **ret_grpc, struct err *err);
void credentials_free(struct credentials *list);

#endif

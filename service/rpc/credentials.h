/*
 * TLS credentials from PEM files. What OpenSSL can tell before gRPC sees the files
 * is told here, by file name: gRPC would only say that listening failed.
 */
#ifndef SERVICE_RPC_CREDENTIALS_H
#define SERVICE_RPC_CREDENTIALS_H

#include <grpc/grpc_security.h>

#include "service/rpc/server.h"

/* With a client CA a verified client certificate is demanded (mutual TLS); without
 * one tls->allow_anonymous must say that nobody needs any. The
 * caller releases the credentials. E_INVALID names the file and what is wrong. */
int credentials_load(const struct rpc_tls *tls, grpc_server_credentials **ret_credentials, struct err *err);

#endif

/*
 * gRPC's own view of this process (grpc.channelz.v1): its server with counts of calls, and its
 * connections with theirs. For an operator who looks for what goes wrong on the wire; gRPC
 * counts only when its server was created with GRPC_ARG_ENABLE_CHANNELZ.
 *
 * The numbers are gRPC's JSON as messages. The list of connections is our own: gRPC 1.51 knows each
 * connection that it was handed by its number, but lists only those it accepted itself. Handlers
 * run at the same time; the list has a lock.
 */
#ifndef SERVICE_RPC_CHANNELZ_H
#define SERVICE_RPC_CHANNELZ_H

#include "service/rpc/call.h"

struct channelz;

int channelz_new(struct channelz **ret_channelz, struct err *err);
void channelz_free(struct channelz *z); /* NULL is fine */

struct rpc_binding channelz_binding(struct channelz *z);

#endif

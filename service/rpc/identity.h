/*
 * Who is at the other end of a call: from SO_PEERCRED as noted when the
 * connection was accepted, or from the verified client certificate. Never from
 * what the client says in metadata.
 */
#ifndef SERVICE_RPC_IDENTITY_H
#define SERVICE_RPC_IDENTITY_H

#include "service/rpc/call.h"

/* Fills call->identity, call->role, call->peer and call->client_key. Fails, so that the call is refused, when
 * the peer of a unix socket is not known or a certificate's names do not fit. */
int identity_of_call(struct rpc_call *call, struct err *err);

/* Of a call whose method is found: E_ROLE says who calls, what the method needs, and how to grant it. */
int identity_check_role(const struct rpc_call *call, struct err *err);

#endif

/*
 * A call as its handler sees it.
 *
 * A handler is a blocking function on a pool thread (or, with the `inline`
 * option, a non-blocking one on a polling thread). It returns OK or a negative
 * code with `err` filled; the generated trampoline turns that into a gRPC status
 * with a google.rpc.ErrorInfo, and logs it once. Requests and the response
 * struct live in the call's arena; a response may also point at static memory or
 * memory that the handler frees through rpc_call_defer(), since it is packed
 * when the handler has returned and before the deferred frees run.
 *
 * Threads: one call belongs to the thread that runs its handler. rpc_call_cancel()
 * may be handed to others (take a reference).
 */
#ifndef SERVICE_RPC_CALL_H
#define SERVICE_RPC_CALL_H

#include "proto/runtime/arena.h"
#include "proto/runtime/cancel.h"
#include "proto/runtime/rpc.h"

struct rpc_call;

/* Who calls: from SO_PEERCRED on a unix socket, from the verified client
 * certificate on TLS, nobody on plain loopback TCP. Never from metadata. */
enum identity_kind { IDENTITY_NONE, IDENTITY_UNIX, IDENTITY_CERTIFICATE };

enum alt_name_kind { ALT_NAME_DNS, ALT_NAME_URI, ALT_NAME_EMAIL, ALT_NAME_IP };

struct identity {
	enum identity_kind kind;
	uint32_t uid, gid; /* IDENTITY_UNIX */
	int32_t pid;
	const char *common_name;      /* IDENTITY_CERTIFICATE; "" when it has none */
	const char *const *alt_names; /* subject alternative names, by kind */
	const enum alt_name_kind *alt_kinds;
	size_t n_alt_names;
	const char *spiffe_id; /* "" when the certificate has none */
};

const struct identity *rpc_call_identity(const struct rpc_call *call);
const char *rpc_call_peer(const struct rpc_call *call); /* for logs */

/* Fires when the client goes away, the deadline passes, or the server drains. */
struct cancel *rpc_call_cancel(struct rpc_call *call);

/* Fires when the server begins to drain: endless streams (watches) end then. */
struct cancel *rpc_call_drain(struct rpc_call *call);

struct arena *rpc_call_arena(struct rpc_call *call);

/* Runs fn(p) on this thread when the call is over and its answer is on the way; fn
 * must not use the call. E_NO_MEMORY runs it at once. */
int rpc_call_defer(struct rpc_call *call, void (*fn)(void *), void *p, struct err *err);

/* Streams. Send copies the message and starts it on its way, when flow control has
 * taken the one before: one is ahead of the client, and what fails of it is told by the
 * next send or ends the call behind the handler. A peer that takes nothing for the
 * server's send timeout ends the call. Both return E_CANCELLED or E_DEADLINE once the
 * call is over.
 *
 * rpc_call_recv() returns 1 with a message
 * that lives until the next receive, 0 when the client has half-closed. A stream
 * that breaks is never taken for a half-close; but some clients (Node's) send one
 * just before they reset a cancelled stream, so where completeness matters the
 * messages must say it. Generated code wraps both with types.
 *
 * One thread may receive while another one sends; rpc_call_stop_recv() ends the receiving
 * one's wait: it gets 0, now and from then on, and must be gone before the handler returns. */
int rpc_call_send(struct rpc_call *call, const ProtobufCMessage *message, struct err *err);
/* Sends the response headers now, where the first message may be long in coming:
 * they tell the client that the call has begun. */
int rpc_call_begin(struct rpc_call *call, struct err *err);
int rpc_call_recv(struct rpc_call *call, ProtobufCMessage **ret_message, struct err *err);
void rpc_call_stop_recv(struct rpc_call *call);

/* The handler of one method, untyped: what the trampolines fill in. */
typedef int rpc_handler(void *self, struct rpc_call *call, const ProtobufCMessage *request, ProtobufCMessage *response,
			const void *impl, struct err *err);

/* A service and its implementation, for rpc_server_add(). */
struct rpc_binding {
	const struct rpc_service *service;
	rpc_handler *const *handlers; /* one for each method, in order */
	const void *impl;	      /* the typed struct of function pointers */
	void *self;
};

#endif

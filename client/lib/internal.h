/*
 * What the files of client/lib share: the channel's state, the pieces of a call.
 * Their functions begin with client_, since a program may hold the server too.
 *
 * Completion queues are of the PLUCK kind: the thread that waits for an operation
 * polls the connection itself, so the library has no threads of its own. Each
 * call borrows one queue; every tag that was started on it is plucked before it
 * goes back (grpc-core.md 2).
 */
#ifndef CLIENT_LIB_INTERNAL_H
#define CLIENT_LIB_INTERNAL_H

#include <grpc/grpc.h>
#include <pthread.h>

#include "client/lib/channel.h"

struct queue {
	grpc_completion_queue *cq;
	struct queue *next;
};

/* Of every call; its slices are the channel's. */
struct headers {
	grpc_metadata *items;
	size_t n;
};

struct rpc_channel {
	char *address;	 /* as given */
	char *cert_file; /* or NULL */
	bool is_unix, is_tls;
	grpc_channel *channel;
	struct headers headers;
	pthread_mutex_t mu;
	struct queue *idle; /* guarded by mu */
};

/* ---- channel.c: queues ----------------------------------------------------------- */

struct queue *client_queue_borrow(struct rpc_channel *c); /* NULL when memory is short */
void client_queue_return(struct rpc_channel *c, struct queue *q);

/* ---- headers.c -------------------------------------------------------------------- */

/* In lower case, as HTTP/2 has names. E_USAGE for one that gRPC refuses or sets itself. */
int client_headers_make(const struct rpc_channel_options *o, struct headers *ret_headers, struct err *err);
void client_headers_free(struct headers *h);
/* The operation that begins a call. */
grpc_op client_headers_op(const struct headers *h);

/* ---- call.c: what unary calls and streams have in common ------------------------- */

/* A reason as the server spells it, which may be newer than our table of errors. */
enum { CLIENT_REASON_MAX = 64 };

struct call {
	struct rpc_channel *channel;
	struct queue *queue;
	grpc_call *call;
	struct cancel *cancel; /* the caller's; may be NULL */
	struct cancel_hook hook;
	int64_t timeout_ms;
	/* Outputs of the batches; valid once their tag was plucked. */
	grpc_metadata_array initial, trailing;
	grpc_status_code status;
	grpc_slice status_text;
	char reason[CLIENT_REASON_MAX]; /* of client_call_result(); "" when it was not told one */
};

int client_call_start(struct call *k, struct rpc_channel *c, const struct rpc_method *method,
		      const struct rpc_call_options *options, struct err *err);
/* All tags must have been plucked. */
void client_call_end(struct call *k);

/* Starts operations under a tag, and waits for a tag. */
int client_call_batch(struct call *k, const grpc_op *ops, size_t n, void *tag, struct err *err);
bool client_call_pluck(struct call *k, void *tag); /* whether the operations succeeded */

/* OK, or the call's status as an error (status.c does the wording). */
int client_call_result(struct call *k, struct err *err);

/* ---- unary.c, stream.c: the calls of channel.h, with the server's reason ------------- */

/* When they fail, ret_reason is CLIENT_REASON_MAX bytes that they fill in. */
int client_unary(struct rpc_channel *c, const struct rpc_method *method, const struct rpc_call_options *options,
		 const ProtobufCMessage *request, ProtobufCMessage **ret_response, char *ret_reason, struct err *err);
int client_stream_open(struct rpc_channel *c, const struct rpc_method *method, const struct rpc_call_options *options,
		       const ProtobufCMessage *request, struct rpc_stream **ret_stream, char *ret_reason,
		       struct err *err);
/* Of the receive that failed. */
const char *client_stream_reason(const struct rpc_stream *s);

/* ---- wire.c: messages as byte buffers ---------------------------------------------- */

int client_wire_pack(const ProtobufCMessage *message, grpc_byte_buffer **ret_buffer, struct err *err);
/* The bytes of a received buffer as one slice, to be unref'd. */
int client_wire_read(grpc_byte_buffer *buffer, grpc_slice *ret_slice, struct err *err);
struct bytes client_wire_bytes(const grpc_slice *slice);

/* ---- status.c ------------------------------------------------------------------------ */

/* The error that a server's status tells: code by ErrorInfo.reason, sizes and
 * delay from the details. Returns the code. */
int client_status_to_err(grpc_status_code status, struct bytes text, const grpc_metadata_array *trailing,
			 char ret_reason[CLIENT_REASON_MAX], struct err *err);

/* ---- explain.c ----------------------------------------------------------------------- */

/* If gRPC's text says that no connection could be made or that it broke, rewrites
 * err for people. Returns err->code. */
int client_explain_connection(const struct rpc_channel *c, struct err *err);
/* A server that accepts and then says nothing. */
int client_explain_silence(const struct rpc_channel *c, int64_t waited_ms, struct err *err);

/* ---- credentials.c -------------------------------------------------------------------- */

int client_credentials_load(const struct rpc_channel_options *o, grpc_channel_credentials **ret_credentials,
			    struct err *err);

/* ---- address.c ------------------------------------------------------------------------- */

/* "unix:///PATH" or "tcp://HOST:PORT" as the target that gRPC wants; free() it. */
int client_address_target(const char *address, char **ret_target, bool *ret_is_unix, struct err *err);

#endif

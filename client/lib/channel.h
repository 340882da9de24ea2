/*
 * A connection to imaged (or any gRPC server), and calls on it.
 *
 * One channel per process is enough: it is thread-safe and reconnects by itself.
 * A call belongs to the thread that makes it, except that one thread may receive
 * while another sends on a bidirectional stream, and that rpc_stream_cancel()
 * may come from anywhere. The calling thread drives the connection while it waits;
 * the library starts no threads of its own, gRPC starts a few with the first
 * channel and ends them with the last. Do not fork while a channel is open.
 *
 * Generated stubs (NAME.client.h) wrap these with types; programs use those.
 * Errors carry the reason of the server (see proto/runtime/err.h); a server that
 * cannot be reached is E_NO_DAEMON with a text that names address and cause.
 */
#ifndef CLIENT_LIB_CHANNEL_H
#define CLIENT_LIB_CHANNEL_H

#include "proto/runtime/cancel.h"
#include "proto/runtime/codec.h"
#include "proto/runtime/rpc.h"

struct rpc_channel;
struct rpc_stream;

/* What goes along with every call: gRPC's metadata. */
struct rpc_header {
	const char *name, *value;
};

struct rpc_channel_options {
	const char *address; /* "unix:///PATH" or "tcp://HOST:PORT" */
	/* PEM files; ca_file set means TLS. cert and key go together. */
	const char *ca_file, *cert_file, *key_file;
	const char *server_name;    /* the name in its certificate, if not HOST */
	const char *service_config; /* of the generated service; NULL: no retries */
	size_t message_bytes;	    /* received at most; 0: 16 MiB */
	const struct rpc_header *headers;
	size_t n_headers;
};

/* Where a user's programs find imaged when nobody says it: IMAGED_HOST, the user's own
 * daemon if it has a socket, the machine's. free() it; NULL when memory is short. */
char *client_address_default(void);

/* Opens no connection yet: the first call does. E_USAGE for an address, headers or options
 * that make no sense, E_NO_DAEMON for TLS files that cannot be used. gRPC's own log
 * is switched off for the process, unless GRPC_VERBOSITY is set. */
int rpc_channel_open(const struct rpc_channel_options *options, struct rpc_channel **ret_channel, struct err *err);
/* All calls must have ended and all streams been freed. NULL is fine. */
void rpc_channel_close(struct rpc_channel *c);
void rpc_channel_closep(struct rpc_channel **c);

/* Connects now, and waits at most that long (0: 10 s); E_NO_DAEMON says what to do. */
int rpc_channel_connect(struct rpc_channel *c, int64_t timeout_ms, struct err *err);

struct rpc_call_options {
	int64_t timeout_ms;    /* 0: no deadline */
	struct cancel *cancel; /* ends the call when fired; may be NULL */
};

/* Unary. An error that is no status of the server is E_INTERNAL for bytes that do
 * not decode, E_DEADLINE, or the code that the token was fired with. The response
 * is freed with protobuf_c_message_free_unpacked(). */
int rpc_call_unary(struct rpc_channel *c, const struct rpc_method *method, const struct rpc_call_options *options,
		   const ProtobufCMessage *request, ProtobufCMessage **ret_response, struct err *err);

/* Streams of all kinds. A server stream is opened with its request and closed
 * for sending; the others send. */
int rpc_stream_open(struct rpc_channel *c, const struct rpc_method *method, const struct rpc_call_options *options,
		    const ProtobufCMessage *request, struct rpc_stream **ret_stream, struct err *err);
/* E_ABORTED when the server has ended the call: rpc_stream_next() tells why. */
int rpc_stream_send(struct rpc_stream *s, const ProtobufCMessage *message, struct err *err);
int rpc_stream_close_send(struct rpc_stream *s, struct err *err);
/* 1 and a message that lives until the next receive; 0 when the server ended the
 * stream with status OK; negative with the status otherwise. */
int rpc_stream_next(struct rpc_stream *s, const ProtobufCMessage **ret_message, struct err *err);
void rpc_stream_cancel(struct rpc_stream *s);
void rpc_stream_free(struct rpc_stream *s); /* cancels what still runs */

#endif

/*
 * The skin of the installed library (include/imaged/channel.h): the calls of
 * channel.h with types that begin with imaged_. A struct imaged_channel is a struct
 * rpc_channel, a struct imaged_NAME_stream a struct rpc_stream, a struct imaged_cancel
 * a struct cancel; only options and errors are other structs.
 *
 * These functions are what generated public calls (protoc-gen-imaged-c with
 * public=PREFIX) stand on; none of them is exported.
 */
#ifndef CLIENT_LIB_PUBLIC_H
#define CLIENT_LIB_PUBLIC_H

#include "client/lib/channel.h"
#include "client/lib/include/imaged/channel.h"

/* ret_response may be NULL. */
int client_public_call(struct imaged_channel *channel, const struct rpc_method *method,
		       const struct imaged_call_options *options, const ProtobufCMessage *request,
		       ProtobufCMessage **ret_response, struct imaged_error *error);
void client_public_free_response(ProtobufCMessage *response);

int client_public_open(struct imaged_channel *channel, const struct rpc_method *method,
		       const struct imaged_call_options *options, const ProtobufCMessage *request,
		       struct rpc_stream **ret_stream, struct imaged_error *error);
int client_public_send(struct rpc_stream *s, const ProtobufCMessage *message, struct imaged_error *error);
int client_public_close_send(struct rpc_stream *s, struct imaged_error *error);
int client_public_next(struct rpc_stream *s, const ProtobufCMessage **ret_message, struct imaged_error *error);

#endif

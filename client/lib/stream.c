#include <grpc/byte_buffer.h>
#include <grpc/slice.h>

#include "client/lib/internal.h"

/*
 * Tags are the addresses of these members. The status operation starts with the
 * call and is plucked exactly once, by the receive that finds the end or by
 * rpc_stream_free(): gRPC needs it to notice a cancelled call.
 */
struct rpc_stream {
	struct call k;
	const struct rpc_method *method;
	char open_tag, send_tag, recv_tag, status_tag;
	bool receiving; /* RECV_INITIAL_METADATA was started */
	bool ended;	/* the status tag was plucked; the next two are set */
	int result;	/* OK or the code of `failure` */
	struct err failure;
	struct arena arena; /* the message of the last receive */
};

/* ---- open --------------------------------------------------------------------------- */

static int start_status(struct rpc_stream *s, struct err *err)
{
	grpc_op op = { .op = GRPC_OP_RECV_STATUS_ON_CLIENT };

	op.data.recv_status_on_client.trailing_metadata = &s->k.trailing;
	op.data.recv_status_on_client.status = &s->k.status;
	op.data.recv_status_on_client.status_details = &s->k.status_text;
	return client_call_batch(&s->k, &op, 1, &s->status_tag, err);
}

/* Takes the status; must run once. */
static int finish(struct rpc_stream *s)
{
	client_call_pluck(&s->k, &s->status_tag);
	s->ended = true;
	s->result = client_call_result(&s->k, &s->failure);
	return s->result;
}

/* Headers, and for a server stream the request and the end of sending. Waits for
 * the connection; what went wrong with it is in the status. */
static int send_headers(struct rpc_stream *s, grpc_byte_buffer *request, struct err *err)
{
	grpc_op ops[3] = {
		client_headers_op(&s->k.channel->headers),
		{ .op = GRPC_OP_SEND_MESSAGE },
		{ .op = GRPC_OP_SEND_CLOSE_FROM_CLIENT },
	};
	int r;

	ops[1].data.send_message.send_message = request;
	r = client_call_batch(&s->k, ops, request ? 3 : 1, &s->open_tag, err);
	if (r < 0) {
		grpc_call_cancel(s->k.call, NULL);
		finish(s);
		return r;
	}
	if (client_call_pluck(&s->k, &s->open_tag))
		return OK;
	r = finish(s);
	if (r == OK)
		return OK; /* ended well already; the receives will say so */
	if (err)
		*err = s->failure;
	return r;
}

static int start_stream(struct rpc_stream *s, struct rpc_channel *c, const struct rpc_call_options *options,
			grpc_byte_buffer *request, struct err *err)
{
	int r = client_call_start(&s->k, c, s->method, options, err);

	if (r < 0)
		return r;
	r = start_status(s, err);
	if (r == OK)
		r = send_headers(s, request, err);
	if (r < 0)
		client_call_end(&s->k);
	return r;
}

int client_stream_open(struct rpc_channel *c, const struct rpc_method *method, const struct rpc_call_options *options,
		       const ProtobufCMessage *request, struct rpc_stream **ret_stream, char *ret_reason,
		       struct err *err)
{
	CLEANUP(freep) struct rpc_stream *s = calloc(1, sizeof *s);
	grpc_byte_buffer *buffer = NULL;
	int r = OK;

	ret_reason[0] = 0;
	if (!s)
		return fail_nomem(err);
	s->method = method;
	arena_init(&s->arena, 0);
	if (request)
		r = client_wire_pack(request, &buffer, err);
	if (r == OK)
		r = start_stream(s, c, options, buffer, err);
	if (buffer)
		grpc_byte_buffer_destroy(buffer);
	memcpy(ret_reason, s->k.reason, CLIENT_REASON_MAX);
	if (r < 0)
		return r;
	*ret_stream = TAKE(s);
	return OK;
}

int rpc_stream_open(struct rpc_channel *c, const struct rpc_method *method, const struct rpc_call_options *options,
		    const ProtobufCMessage *request, struct rpc_stream **ret_stream, struct err *err)
{
	char reason[CLIENT_REASON_MAX];

	return client_stream_open(c, method, options, request, ret_stream, reason, err);
}

/* ---- send --------------------------------------------------------------------------- */

static int send_op(struct rpc_stream *s, const grpc_op *op, struct err *err)
{
	int r = client_call_batch(&s->k, op, 1, &s->send_tag, err);

	if (r < 0)
		return r;
	return client_call_pluck(&s->k, &s->send_tag)
		       ? OK
		       : fail(err, E_ABORTED, "the server has ended the call %s", s->method->path);
}

int rpc_stream_send(struct rpc_stream *s, const ProtobufCMessage *message, struct err *err)
{
	grpc_op op = { .op = GRPC_OP_SEND_MESSAGE };
	grpc_byte_buffer *buffer;
	int r = client_wire_pack(message, &buffer, err);

	if (r < 0)
		return r;
	op.data.send_message.send_message = buffer;
	r = send_op(s, &op, err);
	grpc_byte_buffer_destroy(buffer);
	return r;
}

int rpc_stream_close_send(struct rpc_stream *s, struct err *err)
{
	const grpc_op op = { .op = GRPC_OP_SEND_CLOSE_FROM_CLIENT };

	return send_op(s, &op, err);
}

/* ---- receive ------------------------------------------------------------------------- */

/* The next message, or NULL when there is none any more. */
static int receive(struct rpc_stream *s, grpc_byte_buffer **ret_buffer, struct err *err)
{
	grpc_op ops[2] = { { .op = GRPC_OP_RECV_MESSAGE }, { .op = GRPC_OP_RECV_INITIAL_METADATA } };
	grpc_byte_buffer *buffer = NULL;
	int r;

	ops[0].data.recv_message.recv_message = &buffer;
	ops[1].data.recv_initial_metadata.recv_initial_metadata = &s->k.initial;
	r = client_call_batch(&s->k, ops, s->receiving ? 1 : 2, &s->recv_tag, err);
	if (r < 0)
		return r;
	s->receiving = true;
	if (!client_call_pluck(&s->k, &s->recv_tag) && buffer) {
		grpc_byte_buffer_destroy(buffer);
		buffer = NULL;
	}
	*ret_buffer = buffer;
	return OK;
}

static int unpack(struct rpc_stream *s, grpc_byte_buffer *buffer, const ProtobufCMessage **ret_message, struct err *err)
{
	struct err reason = ERR_INIT;
	ProtobufCMessage *message;
	grpc_slice slice;
	struct bytes wire;
	int r = client_wire_read(buffer, &slice, &reason);

	if (r < 0)
		return fail(err, E_INTERNAL, "%s: %s", s->method->path, reason.text);
	wire = client_wire_bytes(&slice);
	arena_reset(&s->arena, codec_arena_cap(wire.len));
	r = codec_unpack(s->method->output, wire, &s->arena, &message, &reason);
	grpc_slice_unref(slice);
	if (r < 0)
		return fail(err, E_INTERNAL, "the server sent a bad message in %s: %s", s->method->path, reason.text);
	*ret_message = message;
	return 1;
}

/* A failure of our own ends the call; later receives repeat it. */
static int abandon(struct rpc_stream *s, int code, const struct err *reason)
{
	grpc_call_cancel(s->k.call, NULL);
	finish(s);
	s->result = code;
	s->failure = *reason;
	s->k.reason[0] = 0;
	return code;
}

static int next(struct rpc_stream *s, const ProtobufCMessage **ret_message)
{
	struct err reason = ERR_INIT;
	grpc_byte_buffer *buffer = NULL;
	int r;

	if (s->ended)
		return s->result;
	r = receive(s, &buffer, &reason);
	if (r < 0)
		return abandon(s, r, &reason);
	if (!buffer)
		return finish(s);
	r = unpack(s, buffer, ret_message, &reason);
	grpc_byte_buffer_destroy(buffer);
	return r < 0 ? abandon(s, r, &reason) : r;
}

int rpc_stream_next(struct rpc_stream *s, const ProtobufCMessage **ret_message, struct err *err)
{
	int r = next(s, ret_message);

	if (r < 0 && err)
		*err = s->failure;
	return r;
}

const char *client_stream_reason(const struct rpc_stream *s)
{
	return s->k.reason;
}

/* ---- end ---------------------------------------------------------------------------- */

void rpc_stream_cancel(struct rpc_stream *s)
{
	grpc_call_cancel(s->k.call, NULL);
}

void rpc_stream_free(struct rpc_stream *s)
{
	if (!s)
		return;
	if (!s->ended) {
		grpc_call_cancel(s->k.call, NULL);
		finish(s);
	}
	client_call_end(&s->k);
	arena_free(&s->arena);
	free(s);
}

#include <grpc/byte_buffer.h>
#include <grpc/slice.h>

#include "client/lib/internal.h"

static void buffer_destroy(grpc_byte_buffer **buffer)
{
	if (*buffer)
		grpc_byte_buffer_destroy(*buffer);
}

static void slice_unref(grpc_slice *slice)
{
	grpc_slice_unref(*slice);
}

/* The whole call is one batch under one tag. */
static int run_batch(struct call *k, grpc_byte_buffer *request, grpc_byte_buffer **response, struct err *err)
{
	grpc_op ops[6] = {
		client_headers_op(&k->channel->headers),  { .op = GRPC_OP_SEND_MESSAGE },
		{ .op = GRPC_OP_SEND_CLOSE_FROM_CLIENT }, { .op = GRPC_OP_RECV_INITIAL_METADATA },
		{ .op = GRPC_OP_RECV_MESSAGE },		  { .op = GRPC_OP_RECV_STATUS_ON_CLIENT },
	};
	int r;

	ops[1].data.send_message.send_message = request;
	ops[3].data.recv_initial_metadata.recv_initial_metadata = &k->initial;
	ops[4].data.recv_message.recv_message = response;
	ops[5].data.recv_status_on_client.trailing_metadata = &k->trailing;
	ops[5].data.recv_status_on_client.status = &k->status;
	ops[5].data.recv_status_on_client.status_details = &k->status_text;
	r = client_call_batch(k, ops, ARRAY_LEN(ops), k, err);
	if (r < 0)
		return r;
	client_call_pluck(k, k); /* failed sends show in the status */
	return client_call_result(k, err);
}

/* malloc() as far as codec_arena_cap() allows: the response is the caller's, who frees
 * it without an allocator. What is freed meanwhile is not counted back, as in an arena. */
struct capped {
	ProtobufCAllocator allocator;
	size_t left;
};

static void *capped_alloc(void *data, size_t size)
{
	struct capped *c = data;

	if (size > c->left)
		return NULL;
	c->left -= size;
	return malloc(size);
}

static void capped_free(UNUSED void *data, void *p)
{
	free(p);
}

static ProtobufCMessage *unpack_capped(const ProtobufCMessageDescriptor *type, struct bytes wire)
{
	struct capped c = { { capped_alloc, capped_free, &c }, codec_arena_cap(wire.len) };

	return protobuf_c_message_unpack(type, &c.allocator, wire.len, wire.data);
}

static int unpack_response(const struct rpc_method *method, grpc_byte_buffer *buffer, ProtobufCMessage **ret_response,
			   struct err *err)
{
	CLEANUP(slice_unref) grpc_slice slice = grpc_empty_slice();
	struct err reason = ERR_INIT;
	ProtobufCMessage *response;
	struct bytes wire;

	if (!buffer)
		return fail(err, E_INTERNAL, "the server ended %s without a response", method->path);
	if (client_wire_read(buffer, &slice, &reason) < 0)
		return fail(err, E_INTERNAL, "%s: %s", method->path, reason.text);
	wire = client_wire_bytes(&slice);
	if (codec_check_wire(method->output, wire, &reason) < 0)
		return fail(err, E_INTERNAL, "the server sent a bad response to %s: %s", method->path, reason.text);
	response = unpack_capped(method->output, wire);
	if (!response)
		return fail(err, E_INTERNAL, "the server sent a bad response to %s, or one that takes too much memory",
			    method->path);
	*ret_response = response;
	return OK;
}

int client_unary(struct rpc_channel *c, const struct rpc_method *method, const struct rpc_call_options *options,
		 const ProtobufCMessage *request, ProtobufCMessage **ret_response, char *ret_reason, struct err *err)
{
	CLEANUP(buffer_destroy) grpc_byte_buffer *sent = NULL;
	CLEANUP(buffer_destroy) grpc_byte_buffer *received = NULL;
	struct call k;
	int r = client_wire_pack(request, &sent, err);

	ret_reason[0] = 0;
	if (r < 0)
		return r;
	r = client_call_start(&k, c, method, options, err);
	if (r < 0)
		return r;
	r = run_batch(&k, sent, &received, err);
	memcpy(ret_reason, k.reason, CLIENT_REASON_MAX);
	if (r == OK)
		r = unpack_response(method, received, ret_response, err);
	client_call_end(&k);
	return r;
}

int rpc_call_unary(struct rpc_channel *c, const struct rpc_method *method, const struct rpc_call_options *options,
		   const ProtobufCMessage *request, ProtobufCMessage **ret_response, struct err *err)
{
	char reason[CLIENT_REASON_MAX];

	return client_unary(c, method, options, request, ret_response, reason, err);
}

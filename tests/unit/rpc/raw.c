#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <stdio.h>

#include "tests/unit/rpc/rig.h"

enum { OPS = 6, TAG = 1, STATUS_TAG = 2, STALL_LOOKAHEAD = 65536 };

struct client {
	grpc_channel *channel;
	grpc_completion_queue *cq;
	grpc_call *call;
	grpc_slice path;
	grpc_metadata_array initial, trailing;
	grpc_status_code status;
	grpc_slice text;
	grpc_byte_buffer *sent, *received;
};

struct raw_stalled {
	struct client client;
};

static void *tag(intptr_t n)
{
	return (void *)n;
}

static void open_call(struct client *c, const char *address, const char *path, int64_t timeout_ms)
{
	grpc_arg list[] = {
		{ .type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, .value.integer = 1 },
		{ .type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_HTTP2_BDP_PROBE, .value.integer = 0 },
		{ .type = GRPC_ARG_INTEGER,
		  .key = (char *)GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES,
		  .value.integer = STALL_LOOKAHEAD },
	};
	grpc_channel_args args = { ARRAY_LEN(list), list };
	grpc_channel_credentials *plain;
	gpr_timespec deadline = gpr_inf_future(GPR_CLOCK_MONOTONIC);
	char target[256];

	*c = (struct client){ .text = grpc_empty_slice() };
	grpc_init();
	plain = grpc_insecure_credentials_create();
	snprintf(target, sizeof target, "unix:%s", address + strlen("unix://"));
	c->channel = grpc_channel_create(target, plain, &args);
	grpc_channel_credentials_release(plain);
	c->cq = grpc_completion_queue_create_for_pluck(NULL);
	if (timeout_ms)
		deadline = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(timeout_ms, GPR_TIMESPAN));
	c->path = grpc_slice_from_copied_string(path);
	c->call = grpc_channel_create_call(c->channel, NULL, GRPC_PROPAGATE_DEFAULTS, c->cq, c->path, NULL, deadline,
					   NULL);
	grpc_metadata_array_init(&c->initial);
	grpc_metadata_array_init(&c->trailing);
}

static void pluck(struct client *c, intptr_t n)
{
	grpc_event e = grpc_completion_queue_pluck(c->cq, tag(n), gpr_inf_future(GPR_CLOCK_REALTIME), NULL);

	assert_int_equal(e.type, GRPC_OP_COMPLETE);
}

static void close_call(struct client *c)
{
	if (c->sent)
		grpc_byte_buffer_destroy(c->sent);
	if (c->received)
		grpc_byte_buffer_destroy(c->received);
	grpc_metadata_array_destroy(&c->initial);
	grpc_metadata_array_destroy(&c->trailing);
	grpc_slice_unref(c->text);
	grpc_slice_unref(c->path);
	grpc_call_unref(c->call);
	grpc_channel_destroy(c->channel);
	grpc_completion_queue_shutdown(c->cq);
	while (grpc_completion_queue_pluck(c->cq, NULL, gpr_inf_future(GPR_CLOCK_REALTIME), NULL).type !=
	       GRPC_QUEUE_SHUTDOWN)
		;
	grpc_completion_queue_destroy(c->cq);
	grpc_shutdown_blocking();
}

static size_t put_status(struct client *c, grpc_op *op)
{
	op->op = GRPC_OP_RECV_STATUS_ON_CLIENT;
	op->data.recv_status_on_client.trailing_metadata = &c->trailing;
	op->data.recv_status_on_client.status = &c->status;
	op->data.recv_status_on_client.status_details = &c->text;
	return 1;
}

static size_t put_message(struct client *c, struct bytes request, grpc_op *op)
{
	grpc_slice slice = grpc_slice_from_copied_buffer((const char *)request.data, request.len);

	c->sent = grpc_raw_byte_buffer_create(&slice, 1);
	grpc_slice_unref(slice);
	op->op = GRPC_OP_SEND_MESSAGE;
	op->data.send_message.send_message = c->sent;
	return 1;
}

static size_t put_receive(struct client *c, grpc_op *op)
{
	op[0].op = GRPC_OP_RECV_INITIAL_METADATA;
	op[0].data.recv_initial_metadata.recv_initial_metadata = &c->initial;
	op[1].op = GRPC_OP_RECV_MESSAGE;
	op[1].data.recv_message.recv_message = &c->received;
	return 2;
}

static size_t copy(grpc_slice slice, void *to, size_t size)
{
	size_t n = GRPC_SLICE_LENGTH(slice);

	assert_true(n < size);
	memcpy(to, GRPC_SLICE_START_PTR(slice), n);
	return n;
}

static void take_results(struct client *c, struct raw_result *ret_result)
{
	*ret_result = (struct raw_result){ .status = (int)c->status };
	copy(c->text, ret_result->text, sizeof ret_result->text);
	for (size_t i = 0; i < c->trailing.count; i++)
		if (grpc_slice_str_cmp(c->trailing.metadata[i].key, "grpc-status-details-bin") == 0)
			ret_result->n_details = copy(c->trailing.metadata[i].value, ret_result->details,
						     sizeof ret_result->details);
	if (c->received) {
		grpc_byte_buffer_reader reader;
		grpc_slice all;

		assert_true(grpc_byte_buffer_reader_init(&reader, c->received));
		all = grpc_byte_buffer_reader_readall(&reader);
		ret_result->n_response = copy(all, ret_result->response, sizeof ret_result->response);
		grpc_slice_unref(all);
		grpc_byte_buffer_reader_destroy(&reader);
	}
}

void raw_unary(const char *address, const struct raw_call *call, struct raw_result *ret_result)
{
	struct client c;
	grpc_op ops[OPS] = { 0 };
	grpc_metadata metadata = { 0 };
	size_t n = 0;

	open_call(&c, address, call->path, call->timeout_ms);
	ops[n++].op = GRPC_OP_SEND_INITIAL_METADATA;
	if (call->key) {
		metadata.key = grpc_slice_from_static_string(call->key);
		metadata.value = grpc_slice_from_static_string(call->value);
		ops[0].data.send_initial_metadata.count = 1;
		ops[0].data.send_initial_metadata.metadata = &metadata;
	}
	if (call->request.data)
		n += put_message(&c, call->request, &ops[n]);
	if (!call->no_half_close)
		ops[n++].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
	n += put_receive(&c, &ops[n]);
	n += put_status(&c, &ops[n]);
	assert_int_equal(grpc_call_start_batch(c.call, ops, n, tag(TAG), NULL), GRPC_CALL_OK);
	pluck(&c, TAG);
	take_results(&c, ret_result);
	close_call(&c);
}

struct raw_stalled *raw_stall(const char *address, const char *path, struct bytes request)
{
	struct raw_stalled *s = calloc(1, sizeof *s);
	struct client *c = &s->client;
	grpc_op ops[OPS] = { 0 }, status = { 0 };
	size_t n = 0;

	assert_non_null(s);
	open_call(c, address, path, 0);
	put_status(c, &status);
	assert_int_equal(grpc_call_start_batch(c->call, &status, 1, tag(STATUS_TAG), NULL), GRPC_CALL_OK);
	ops[n++].op = GRPC_OP_SEND_INITIAL_METADATA;
	n += put_message(c, request, &ops[n]);
	ops[n++].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
	ops[n].op = GRPC_OP_RECV_INITIAL_METADATA;
	ops[n++].data.recv_initial_metadata.recv_initial_metadata = &c->initial;
	assert_int_equal(grpc_call_start_batch(c->call, ops, n, tag(TAG), NULL), GRPC_CALL_OK);
	pluck(c, TAG);
	return s;
}

static bool read_one(struct client *c)
{
	grpc_op op = { .op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &c->received };
	bool got;

	assert_int_equal(grpc_call_start_batch(c->call, &op, 1, tag(TAG), NULL), GRPC_CALL_OK);
	pluck(c, TAG);
	got = c->received != NULL;
	if (got)
		grpc_byte_buffer_destroy(TAKE(c->received));
	return got;
}

int raw_stalled_finish(struct raw_stalled *s)
{
	int status;

	while (read_one(&s->client))
		;
	pluck(&s->client, STATUS_TAG);
	status = (int)s->client.status;
	close_call(&s->client);
	free(s);
	return status;
}

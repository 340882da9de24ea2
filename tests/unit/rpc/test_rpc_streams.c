/* Streams from end to end: order, ends, and peers that do not move. */
#include <grpc/grpc.h>

#include "proto/runtime/clock.h"
#include "tests/unit/rpc/rig.h"

#define SERVICE "/echo.v1.EchoService/"
#define COUNT(name) echo__v1__echo_service__count_##name
#define UPLOAD(name) echo__v1__echo_service__upload_##name
#define CHAT(name) echo__v1__echo_service__chat_##name

enum { MIB = 1024 * 1024 };

static void server_stream_arrives_in_order_and_whole(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	CLEANUP(echo__v1__echo_service__count_freep) struct COUNT(stream) *stream = NULL;
	Echo__V1__CountRequest request = ECHO__V1__COUNT_REQUEST__INIT;
	const Echo__V1__Chunk *chunk;
	struct err err = ERR_INIT;

	(void)state;
	request.count = 300;
	request.size = 100 * 1024;
	assert_int_equal(echo__v1__echo_service__open_count(r->channel, NULL, &request, &stream, &err), OK);
	for (uint64_t i = 1; i <= request.count; i++) {
		assert_int_equal(COUNT(next)(stream, &chunk, &err), 1);
		assert_int_equal(chunk->serial, i);
		assert_int_equal(chunk->data.len, request.size);
	}
	assert_int_equal(COUNT(next)(stream, &chunk, &err), 0);
}

static void empty_server_stream_ends_well(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	CLEANUP(echo__v1__echo_service__count_freep) struct COUNT(stream) *stream = NULL;
	Echo__V1__CountRequest request = ECHO__V1__COUNT_REQUEST__INIT;
	const Echo__V1__Chunk *chunk;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(echo__v1__echo_service__open_count(r->channel, NULL, &request, &stream, &err), OK);
	assert_int_equal(COUNT(next)(stream, &chunk, &err), 0);
}

static void stream_that_fails_ends_with_its_error(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	CLEANUP(echo__v1__echo_service__count_freep) struct COUNT(stream) *stream = NULL;
	Echo__V1__CountRequest request = ECHO__V1__COUNT_REQUEST__INIT;
	const Echo__V1__Chunk *chunk;
	struct err err = ERR_INIT;

	(void)state;
	request.count = 1;
	request.size = 5 * MIB;
	assert_int_equal(echo__v1__echo_service__open_count(r->channel, NULL, &request, &stream, &err), OK);
	assert_int_equal(COUNT(next)(stream, &chunk, &err), E_INVALID);
	assert_non_null(strstr(err.text, "chunks have at most"));
}

static struct UPLOAD(stream) * open_upload(struct rig *r, struct err *err)
{
	struct UPLOAD(stream) * stream;

	assert_int_equal(echo__v1__echo_service__open_upload(r->channel, NULL, &stream, err), OK);
	return stream;
}

static void client_stream_arrives_whole(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	CLEANUP(echo__v1__echo_service__upload_freep) struct UPLOAD(stream) *stream = NULL;
	CLEANUP(freep) uint8_t *data = calloc(1, MIB);
	Echo__V1__Chunk chunk = ECHO__V1__CHUNK__INIT;
	const Echo__V1__SumResponse *sum;
	struct err err = ERR_INIT;

	(void)state;
	stream = open_upload(r, &err);
	chunk.data.data = data;
	for (int i = 0; i < 50; i++) {
		chunk.data.len = (size_t)i * 20000;
		assert_int_equal(UPLOAD(write)(stream, &chunk, &err), OK);
	}
	assert_int_equal(UPLOAD(close_write)(stream, &err), OK);
	assert_int_equal(UPLOAD(next)(stream, &sum, &err), 1);
	assert_int_equal(sum->chunks, 50);
	assert_int_equal(sum->bytes, 49 * 50 / 2 * 20000);
	assert_int_equal(atomic_load(&r->service.half_closed), 1);
}

static void empty_client_stream_is_a_half_close(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	CLEANUP(echo__v1__echo_service__upload_freep) struct UPLOAD(stream) *stream = NULL;
	const Echo__V1__SumResponse *sum;
	struct err err = ERR_INIT;

	(void)state;
	stream = open_upload(r, &err);
	assert_int_equal(UPLOAD(close_write)(stream, &err), OK);
	assert_int_equal(UPLOAD(next)(stream, &sum, &err), 1);
	assert_int_equal(sum->chunks, 0);
}

static void cancelled_upload_never_looks_whole(void **state)
{
	enum { ROUNDS = 200 };
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	Echo__V1__Chunk chunk = ECHO__V1__CHUNK__INIT;
	struct err err = ERR_INIT;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct UPLOAD(stream) *stream = open_upload(r, &err);

		assert_int_equal(UPLOAD(write)(stream, &chunk, &err), OK);
		EVENTUALLY(atomic_load(&r->service.running) == 1);
		UPLOAD(cancel)(stream);
		UPLOAD(free)(stream);
		EVENTUALLY(atomic_load(&r->service.running) == 0);
	}
	assert_int_equal(atomic_load(&r->service.half_closed), 0);
	assert_int_equal(atomic_load(&r->service.cancelled), ROUNDS);
}

static void garbage_in_a_stream_ends_it_with_invalid_argument(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	struct raw_result result;

	(void)state;
	raw_unary(r->address, &(struct raw_call){ .path = SERVICE "Upload", .request = bytes_of("\xff\xff") }, &result);
	assert_int_equal(result.status, GRPC_CODE_INVALID_ARGUMENT);
}

static void stream_message_that_is_too_big_is_resource_exhausted(void **state)
{
	struct rpc_server_options options = { .message_bytes = 64 * 1024 };
	CLEANUP(rig_freep) struct rig *r = rig_new(&options);
	CLEANUP(freep) uint8_t *data = calloc(1, 65 * 1024);
	struct raw_result result;

	(void)state;
	raw_unary(r->address, &(struct raw_call){ .path = SERVICE "Upload", .request = { data, 65 * 1024 } }, &result);
	assert_int_equal(result.status, GRPC_CODE_RESOURCE_EXHAUSTED);
	EVENTUALLY(rig_logged(r) == 1);
	assert_int_equal(rig_last_code(r), E_LIMIT);
}

static void both_directions_take_turns(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	CLEANUP(echo__v1__echo_service__chat_freep) struct CHAT(stream) *stream = NULL;
	Echo__V1__EchoRequest request = ECHO__V1__ECHO_REQUEST__INIT;
	const Echo__V1__EchoResponse *response;
	struct err err = ERR_INIT;
	char word[16];

	(void)state;
	assert_int_equal(echo__v1__echo_service__open_chat(r->channel, NULL, &stream, &err), OK);
	request.text = word;
	for (int i = 0; i < 100; i++) {
		snprintf(word, sizeof word, "word %d", i);
		assert_int_equal(CHAT(write)(stream, &request, &err), OK);
		assert_int_equal(CHAT(next)(stream, &response, &err), 1);
		assert_string_equal(response->echo->text, word);
	}
	assert_int_equal(CHAT(close_write)(stream, &err), OK);
	assert_int_equal(CHAT(next)(stream, &response, &err), 0);
}

/* ---- peers that do not move ---- */

/* count 1 000 000, size 1 MiB */
static const char endless[] = "\x08\xc0\x84\x3d\x10\x80\x80\x40";

static void slow_reader_is_cut_off_and_costs_no_memory(void **state)
{
	enum { STALLED = 4, TIMEOUT_MS = 1500, ROOM = 24 * MIB };
	struct rpc_server_options options = { .send_timeout_ms = TIMEOUT_MS };
	CLEANUP(rig_freep) struct rig *r = rig_new(&options);
	struct raw_stalled *stalled[STALLED];
	int64_t begin = clock_monotonic_ms();
	size_t before = rig_rss_anon(), most = 0;

	(void)state;
	for (int i = 0; i < STALLED; i++)
		stalled[i] = raw_stall(r->address, SERVICE "Count", bytes_of(endless));
	EVENTUALLY(atomic_load(&r->service.running) == STALLED);
	while (atomic_load(&r->service.running)) {
		size_t now = rig_rss_anon();

		most = now > most ? now : most;
		assert_true(clock_monotonic_ms() - begin < RIG_PATIENCE);
		rig_pause();
	}
	/* Not before its time, and each with at most a few messages in memory. */
	assert_true(clock_monotonic_ms() - begin >= TIMEOUT_MS - 100);
	assert_true(most < before + ROOM);
	assert_int_equal(atomic_load(&r->service.expired), STALLED);
	for (int i = 0; i < STALLED; i++)
		assert_int_not_equal(raw_stalled_finish(stalled[i]), GRPC_CODE_OK);
	EVENTUALLY(rpc_server_active(r->server) == 0);
}

/* The handler has ended when its last message is still on its way. */
static void slow_reader_of_the_last_message_is_cut_off(void **state)
{
	struct rpc_server_options options = { .send_timeout_ms = 300 };
	CLEANUP(rig_freep) struct rig *r = rig_new(&options);
	struct raw_stalled *stalled;

	(void)state;
	stalled = raw_stall(r->address, SERVICE "Count", bytes_of("\x08\x01\x10\x80\x80\x40"));
	EVENTUALLY(rpc_server_active(r->server) == 0);
	assert_int_equal(atomic_load(&r->service.expired), 0);
	assert_int_not_equal(raw_stalled_finish(stalled), GRPC_CODE_OK);
}

/* The response of a unary call waits on no thread; it too has its time. */
static void slow_reader_of_a_unary_response_is_cut_off(void **state)
{
	struct rpc_server_options options = { .send_timeout_ms = 300 };
	CLEANUP(rig_freep) struct rig *r = rig_new(&options);
	CLEANUP(freep) uint8_t *request = calloc(1, MIB + 4);
	struct raw_stalled *stalled;

	(void)state;
	memcpy(request, "\x12\x80\x80\x40", 4);
	stalled = raw_stall(r->address, SERVICE "Echo", (struct bytes){ request, MIB + 4 });
	EVENTUALLY(rpc_server_active(r->server) == 0);
	assert_int_not_equal(raw_stalled_finish(stalled), GRPC_CODE_OK);
}

static void slow_writer_of_a_unary_request_is_cut_off(void **state)
{
	struct rpc_server_options options = { .recv_timeout_ms = 300 };
	CLEANUP(rig_freep) struct rig *r = rig_new(&options);
	struct raw_result result;

	(void)state;
	raw_unary(r->address,
		  &(struct raw_call){ .path = SERVICE "Echo", .no_half_close = true, .timeout_ms = RIG_PATIENCE },
		  &result);
	assert_int_not_equal(result.status, GRPC_CODE_OK);
	EVENTUALLY(rpc_server_active(r->server) == 0);
	assert_int_equal(rig_last_code(r), E_DEADLINE);
}

static void slow_writer_of_a_stream_is_told_so(void **state)
{
	struct rpc_server_options options = { .recv_timeout_ms = 300 };
	CLEANUP(rig_freep) struct rig *r = rig_new(&options);
	CLEANUP(echo__v1__echo_service__upload_freep) struct UPLOAD(stream) *stream = NULL;
	Echo__V1__Chunk chunk = ECHO__V1__CHUNK__INIT;
	const Echo__V1__SumResponse *sum;
	struct err err = ERR_INIT;

	(void)state;
	stream = open_upload(r, &err);
	assert_int_equal(UPLOAD(write)(stream, &chunk, &err), OK);
	assert_int_equal(UPLOAD(next)(stream, &sum, &err), E_DEADLINE);
	assert_non_null(strstr(err.text, "sent nothing for 300 ms"));
	EVENTUALLY(rpc_server_active(r->server) == 0);
}

/* The other way round: the server takes nothing while its handler is busy. */
static void upload_to_a_busy_handler_is_held_back(void **state)
{
	enum { ROOM = 64 * MIB, AHEAD_MAX = 16 };
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	CLEANUP(freep) uint8_t *data = calloc(1, MIB);
	struct rpc_call_options options = { .timeout_ms = 1500 };
	CLEANUP(echo__v1__echo_service__chat_freep) struct CHAT(stream) *stream = NULL;
	Echo__V1__EchoRequest request = ECHO__V1__ECHO_REQUEST__INIT;
	struct err err = ERR_INIT;
	size_t before = rig_rss_anon();
	int taken = 0;

	(void)state;
	/* Nobody reads the answers, so the handler stands still in its send. */
	request.data = (ProtobufCBinaryData){ MIB, data };
	assert_int_equal(echo__v1__echo_service__open_chat(r->channel, &options, &stream, &err), OK);
	while (CHAT(write)(stream, &request, &err) == OK)
		taken++;
	assert_true(taken < AHEAD_MAX);
	assert_true(rig_rss_anon() < before + ROOM);
	EVENTUALLY(atomic_load(&r->service.running) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(server_stream_arrives_in_order_and_whole),
		cmocka_unit_test(empty_server_stream_ends_well),
		cmocka_unit_test(stream_that_fails_ends_with_its_error),
		cmocka_unit_test(client_stream_arrives_whole),
		cmocka_unit_test(empty_client_stream_is_a_half_close),
		cmocka_unit_test(cancelled_upload_never_looks_whole),
		cmocka_unit_test(garbage_in_a_stream_ends_it_with_invalid_argument),
		cmocka_unit_test(stream_message_that_is_too_big_is_resource_exhausted),
		cmocka_unit_test(both_directions_take_turns),
		cmocka_unit_test(slow_reader_is_cut_off_and_costs_no_memory),
		cmocka_unit_test(slow_reader_of_the_last_message_is_cut_off),
		cmocka_unit_test(slow_reader_of_a_unary_response_is_cut_off),
		cmocka_unit_test(slow_writer_of_a_unary_request_is_cut_off),
		cmocka_unit_test(slow_writer_of_a_stream_is_told_so),
		cmocka_unit_test(upload_to_a_busy_handler_is_held_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Statuses of a foreign server as errors; deadlines and cancellation. */
#include <pthread.h>

#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "proto/runtime/clock.h"
#include "tests/unit/client/peer.h"

/* ---- details -------------------------------------------------------------------------- */

static size_t pack(const ProtobufCMessage *m, uint8_t *out, size_t size)
{
	assert_true(protobuf_c_message_get_packed_size(m) <= size);
	return protobuf_c_message_pack(m, out);
}

/* google.rpc.Status with the messages as details. */
static size_t make_details(const ProtobufCMessage *const *messages, size_t n, uint8_t *out, size_t size)
{
	static uint8_t values[4][512];
	static char urls[4][128];
	Google__Protobuf__Any anys[4], *list[4];
	Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;

	assert_true(n <= 4);
	for (size_t i = 0; i < n; i++) {
		google__protobuf__any__init(&anys[i]);
		snprintf(urls[i], sizeof urls[i], "type.googleapis.com/%s", messages[i]->descriptor->name);
		anys[i].type_url = urls[i];
		anys[i].value.data = values[i];
		anys[i].value.len = pack(messages[i], values[i], sizeof values[i]);
		list[i] = &anys[i];
	}
	status.details = list;
	status.n_details = n;
	return pack(&status.base, out, size);
}

static int call_fail(enum grpc_code code, const char *message, struct bytes details, struct err *err)
{
	CLEANUP(rpc_channel_closep) struct rpc_channel *channel = peer_channel();
	CLEANUP(wiretest__wire__fail_freep) Wiretest__Text *text = NULL;
	Wiretest__Failure failure = WIRETEST__FAILURE__INIT;

	failure.code = code;
	failure.message = (char *)message;
	failure.details = (ProtobufCBinaryData){ details.len, (uint8_t *)details.data };
	return wiretest__wire__call_fail(channel, NULL, &failure, &text, err);
}

static int call_fail_with(enum grpc_code code, const Google__Rpc__ErrorInfo *info, struct err *err)
{
	const ProtobufCMessage *list[] = { &info->base };
	uint8_t wire[1024];

	return call_fail(code, "text", (struct bytes){ wire, make_details(list, 1, wire, sizeof wire) }, err);
}

static Google__Rpc__ErrorInfo info_of(const char *domain, const char *reason)
{
	Google__Rpc__ErrorInfo info = GOOGLE__RPC__ERROR_INFO__INIT;

	info.domain = (char *)domain;
	info.reason = (char *)reason;
	return info;
}

static void each_status_code_has_an_error_code(UNUSED void **state)
{
	const struct bytes none = { 0 };
	struct err err = ERR_INIT;

	for (int code = GRPC_CODE_CANCELLED; code <= GRPC_CODE_UNAUTHENTICATED; code++) {
		assert_int_equal(call_fail((enum grpc_code)code, "grund: ü %", none, &err),
				 err_code_from((enum grpc_code)code, NULL));
		assert_string_equal(err.text, "grund: ü %");
		assert_int_equal(err_grpc_code(err.code), code);
	}
}

static void reason_decides_the_code(UNUSED void **state)
{
	Google__Rpc__ErrorInfo info = info_of("imaged.dev", "NO_SUCH_IMAGE");
	struct err err = ERR_INIT;

	assert_int_equal(call_fail_with(GRPC_CODE_NOT_FOUND, &info, &err), E_NO_SUCH_IMAGE);
	assert_string_equal(err.text, "text");
}

static void reason_of_another_domain_says_nothing(UNUSED void **state)
{
	Google__Rpc__ErrorInfo info = info_of("elsewhere.test", "NO_SUCH_IMAGE");
	struct err err = ERR_INIT;

	assert_int_equal(call_fail_with(GRPC_CODE_NOT_FOUND, &info, &err), E_NOT_FOUND);
}

static void disk_full_tells_needed_and_free_bytes(UNUSED void **state)
{
	Google__Rpc__ErrorInfo__MetadataEntry needed = GOOGLE__RPC__ERROR_INFO__METADATA_ENTRY__INIT;
	Google__Rpc__ErrorInfo__MetadataEntry left = GOOGLE__RPC__ERROR_INFO__METADATA_ENTRY__INIT;
	Google__Rpc__ErrorInfo__MetadataEntry *metadata[] = { &needed, &left };
	Google__Rpc__ErrorInfo info = info_of("imaged.dev", "DISK_FULL");
	struct err err = ERR_INIT;

	needed.key = "needed_bytes";
	needed.value = "9000000000000";
	left.key = "free_bytes";
	left.value = "12";
	info.metadata = metadata;
	info.n_metadata = 2;
	assert_int_equal(call_fail_with(GRPC_CODE_RESOURCE_EXHAUSTED, &info, &err), E_DISK_FULL);
	assert_true(err.needed_bytes == 9000000000000);
	assert_int_equal(err.free_bytes, 12);
	left.value = "-4 apples";
	assert_int_equal(call_fail_with(GRPC_CODE_RESOURCE_EXHAUSTED, &info, &err), E_DISK_FULL);
	assert_int_equal(err.free_bytes, 0);
}

static void retry_info_tells_how_long_to_wait(UNUSED void **state)
{
	Google__Rpc__ErrorInfo info = info_of("imaged.dev", "RATE_LIMITED");
	Google__Rpc__RetryInfo retry = GOOGLE__RPC__RETRY_INFO__INIT;
	Google__Protobuf__Duration delay = GOOGLE__PROTOBUF__DURATION__INIT;
	const ProtobufCMessage *list[] = { &retry.base, &info.base };
	struct err err = ERR_INIT;
	uint8_t wire[1024];
	size_t n;

	delay.seconds = 90;
	delay.nanos = 250000000;
	retry.retry_delay = &delay;
	n = make_details(list, 2, wire, sizeof wire);
	assert_int_equal(call_fail(GRPC_CODE_RESOURCE_EXHAUSTED, "slow down", (struct bytes){ wire, n }, &err),
			 E_RATE_LIMITED);
	assert_int_equal(err.retry_after_ms, 90250);
	delay.seconds = INT64_MAX;
	n = make_details(list, 2, wire, sizeof wire);
	call_fail(GRPC_CODE_RESOURCE_EXHAUSTED, "slow down", (struct bytes){ wire, n }, &err);
	assert_int_equal(err.retry_after_ms, 0);
}

static void details_that_cannot_be_read_do_not_hide_the_status(UNUSED void **state)
{
	struct err err = ERR_INIT;

	assert_int_equal(call_fail(GRPC_CODE_DATA_LOSS, "damaged", bytes_of("\xff\xff\xff"), &err), E_CORRUPT);
	assert_string_equal(err.text, "damaged");
}

static void text_of_a_server_cannot_control_the_terminal(UNUSED void **state)
{
	const struct bytes none = { 0 };
	struct err err = ERR_INIT;

	call_fail(GRPC_CODE_INTERNAL, "\033[2Jgone\r\ttab\nline\x7f\n\n", none, &err);
	assert_string_equal(err.text, "?[2Jgone?\ttab\nline?");
}

static void long_text_is_cut_between_characters(UNUSED void **state)
{
	const struct bytes none = { 0 };
	struct err err = ERR_INIT;
	char text[2 * ERR_TEXT_MAX + 2] = "x";

	for (size_t i = 0; i < ERR_TEXT_MAX; i++)
		memcpy(text + 1 + 2 * i, "ü", 2);
	text[2 * ERR_TEXT_MAX + 1] = 0;
	call_fail(GRPC_CODE_INTERNAL, text, none, &err);
	assert_true(strlen(err.text) > ERR_TEXT_MAX - 4);
	assert_true(utf8_valid(bytes_of(err.text)));
	assert_null(strchr(err.text, '?'));
}

/* ---- deadlines and cancellation -------------------------------------------------------- */

static int call_hang(const struct rpc_call_options *options, struct err *err)
{
	CLEANUP(rpc_channel_closep) struct rpc_channel *channel = peer_channel();
	CLEANUP(wiretest__wire__hang_freep) Wiretest__Text *answer = NULL;
	Wiretest__Text text = WIRETEST__TEXT__INIT;

	return wiretest__wire__call_hang(channel, options, &text, &answer, err);
}

static void call_ends_at_its_deadline(UNUSED void **state)
{
	const struct rpc_call_options options = { .timeout_ms = 200 };
	int64_t before = clock_monotonic_ms();
	struct err err = ERR_INIT;

	assert_int_equal(call_hang(&options, &err), E_DEADLINE);
	assert_true(clock_monotonic_ms() - before >= 195);
	assert_string_equal(err.text, "the call did not end within 0.2 seconds");
}

static void *fire(void *arg)
{
	cancel_fire(arg, E_CANCELLED);
	return NULL;
}

static void *fire_late(void *arg)
{
	cancel_wait(arg, 50);
	return fire(arg);
}

static void token_ends_a_unary_call_at_once(UNUSED void **state)
{
	CLEANUP(cancel_unrefp) struct cancel *token = cancel_new();
	const struct rpc_call_options options = { .cancel = token };
	struct err err = ERR_INIT;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, fire_late, token), 0);
	assert_int_equal(call_hang(&options, &err), E_CANCELLED);
	pthread_join(thread, NULL);
	assert_string_equal(err.text, "the call was cancelled");
}

static void token_that_has_fired_starts_no_call(UNUSED void **state)
{
	CLEANUP(cancel_unrefp) struct cancel *token = cancel_new();
	const struct rpc_call_options options = { .cancel = token };
	struct err err = ERR_INIT;

	cancel_fire(token, E_DEADLINE);
	assert_int_equal(call_hang(&options, &err), E_DEADLINE);
}

static void token_ends_a_stream_at_once(UNUSED void **state)
{
	CLEANUP(rpc_channel_closep) struct rpc_channel *channel = peer_channel();
	CLEANUP(cancel_unrefp) struct cancel *token = cancel_new();
	const struct rpc_call_options options = { .cancel = token };
	CLEANUP(wiretest__wire__count_then_hang_freep) struct wiretest__wire__count_then_hang_stream *stream = NULL;
	Wiretest__Number n = WIRETEST__NUMBER__INIT;
	const Wiretest__Number *message;
	struct err err = ERR_INIT;
	pthread_t thread;

	assert_ok(wiretest__wire__open_count_then_hang(channel, &options, &n, &stream, &err), err);
	assert_int_equal(wiretest__wire__count_then_hang_next(stream, &message, &err), 1);
	assert_int_equal(pthread_create(&thread, NULL, fire, token), 0);
	assert_int_equal(wiretest__wire__count_then_hang_next(stream, &message, &err), E_CANCELLED);
	pthread_join(thread, NULL);
}

/* The token may fire at any moment of a call's life, its end included. */
static void token_may_fire_while_calls_come_and_go(UNUSED void **state)
{
	CLEANUP(rpc_channel_closep) struct rpc_channel *channel = peer_channel();

	for (int i = 0; i < 100; i++) {
		CLEANUP(cancel_unrefp) struct cancel *token = cancel_new();
		CLEANUP(wiretest__wire__echo_freep) Wiretest__Everything *m = NULL;
		const struct rpc_call_options options = { .cancel = token };
		Wiretest__Everything request = WIRETEST__EVERYTHING__INIT;
		pthread_t thread;
		int r;

		assert_int_equal(pthread_create(&thread, NULL, fire, token), 0);
		r = wiretest__wire__call_echo(channel, &options, &request, &m, NULL);
		assert_true(r == OK || r == E_CANCELLED);
		pthread_join(thread, NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_status_code_has_an_error_code),
		cmocka_unit_test(reason_decides_the_code),
		cmocka_unit_test(reason_of_another_domain_says_nothing),
		cmocka_unit_test(disk_full_tells_needed_and_free_bytes),
		cmocka_unit_test(retry_info_tells_how_long_to_wait),
		cmocka_unit_test(details_that_cannot_be_read_do_not_hide_the_status),
		cmocka_unit_test(text_of_a_server_cannot_control_the_terminal),
		cmocka_unit_test(long_text_is_cut_between_characters),
		cmocka_unit_test(call_ends_at_its_deadline),
		cmocka_unit_test(token_ends_a_unary_call_at_once),
		cmocka_unit_test(token_that_has_fired_starts_no_call),
		cmocka_unit_test(token_ends_a_stream_at_once),
		cmocka_unit_test(token_may_fire_while_calls_come_and_go),
	};

	if (!peer_available())
		return 0;
	return cmocka_run_group_tests(tests, peer_start, peer_stop);
}

/* Unary calls from end to end: what reaches the handler, what reaches the client. */
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>

#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "proto/runtime/clock.h"
#include "tests/unit/rpc/rig.h"

#define SERVICE "/echo.v1.EchoService/"

static struct bytes text(const char *t)
{
	return bytes_of(t);
}

/* ---- the good case ---- */

static void check_echo(struct rig *r, bool on_poller)
{
	CLEANUP(echo__v1__echo_service__echo_freep) Echo__V1__EchoResponse *response = NULL;
	Echo__V1__EchoRequest request = ECHO__V1__ECHO_REQUEST__INIT;
	char *lines[] = { (char *)"one", (char *)"", (char *)"zwölf" };
	struct err err = ERR_INIT;
	int rc;

	request.text = (char *)"hello";
	request.lines = lines;
	request.n_lines = ARRAY_LEN(lines);
	request.choice_case = ECHO__V1__ECHO_REQUEST__CHOICE_WORD;
	request.word = (char *)"word";
	request.negative = INT64_MIN;
	rc = on_poller ? echo__v1__echo_service__call_echo_inline(r->channel, NULL, &request, &response, &err)
		       : echo__v1__echo_service__call_echo(r->channel, NULL, &request, &response, &err);
	assert_int_equal(rc, OK);
	assert_string_equal(response->echo->text, "hello");
	assert_int_equal(response->echo->n_lines, 3);
	assert_string_equal(response->echo->lines[2], "zwölf");
	assert_int_equal(response->echo->choice_case, ECHO__V1__ECHO_REQUEST__CHOICE_WORD);
	assert_true(response->echo->negative == INT64_MIN);
	assert_int_equal(rig_logged(r), 0);
}

static void call_is_served_on_the_pool_and_on_a_poller(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);

	(void)state;
	check_echo(r, false);
	check_echo(r, true);
}

static void empty_message_is_a_message(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	struct raw_result result;

	(void)state;
	raw_unary(r->address, &(struct raw_call){ .path = SERVICE "Echo", .request = text("") }, &result);
	assert_int_equal(result.status, GRPC_CODE_OK);
	assert_int_equal(result.n_response, 4); /* an empty echo, serial 1 */
}

static void message_of_exactly_the_limit_is_taken(void **state)
{
	enum { LIMIT = 64 * 1024 };
	struct rpc_server_options options = { .message_bytes = LIMIT };
	CLEANUP(rig_freep) struct rig *r = rig_new(&options);
	CLEANUP(freep) uint8_t *data = calloc(1, LIMIT + 1);
	struct raw_result result;
	size_t head = 4; /* tag and length of EchoRequest.data */

	(void)state;
	memcpy(data, "\x12\xfc\xff\x03", head); /* 64 KiB - 4 */
	raw_unary(r->address, &(struct raw_call){ .path = SERVICE "Missing", .request = { data, LIMIT } }, &result);
	assert_int_equal(result.status, GRPC_CODE_UNIMPLEMENTED);
	raw_unary(r->address, &(struct raw_call){ .path = SERVICE "Missing", .request = { data, LIMIT + 1 } }, &result);
	assert_int_equal(result.status, GRPC_CODE_RESOURCE_EXHAUSTED);
}

/* ---- bad calls ---- */

static void unknown_method_is_unimplemented(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	static const char *const paths[] = { SERVICE "Nope", "/no.Such/Echo", "/", SERVICE "Echo/", SERVICE "ech" };
	struct raw_result result;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		raw_unary(r->address, &(struct raw_call){ .path = paths[i], .request = text(""), .timeout_ms = 20000 },
			  &result);
		assert_int_equal(result.status, GRPC_CODE_UNIMPLEMENTED);
	}
	EVENTUALLY(rig_logged(r) == ARRAY_LEN(paths));
	EVENTUALLY(rpc_server_active(r->server) == 0);
}

static void method_without_handler_is_unimplemented(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	struct raw_result result;

	(void)state;
	raw_unary(r->address, &(struct raw_call){ .path = SERVICE "Missing", .request = text("") }, &result);
	assert_int_equal(result.status, GRPC_CODE_UNIMPLEMENTED);
}

static void garbage_is_invalid_argument(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	static const char *const wires[] = {
		"\xff\xff\xff\xff", /* no field */
		"\x0a\x7f" /* a string longer than the message */,
		"\x0a\x02\xc3\x28",	    /* a string that is no UTF-8 */
		"\x0a\x01\x80",		    /* the same, shorter */
		"\x1a\x04\x0a\x7fxx",	    /* a map entry that breaks off */
		"\x32\x05\x1a\x03\x0a\x7fx" /* three levels down */
	};
	struct raw_result result;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wires); i++) {
		raw_unary(r->address, &(struct raw_call){ .path = SERVICE "Echo", .request = text(wires[i]) }, &result);
		assert_int_equal(result.status, GRPC_CODE_INVALID_ARGUMENT);
		raw_unary(r->address, &(struct raw_call){ .path = SERVICE "EchoInline", .request = text(wires[i]) },
			  &result);
		assert_int_equal(result.status, GRPC_CODE_INVALID_ARGUMENT);
	}
}

static void unary_call_without_message_is_invalid_argument(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	struct raw_result result;

	(void)state;
	raw_unary(r->address, &(struct raw_call){ .path = SERVICE "Echo" }, &result);
	assert_int_equal(result.status, GRPC_CODE_INVALID_ARGUMENT);
}

static void message_that_is_too_big_is_resource_exhausted(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	CLEANUP(freep) uint8_t *data = calloc(1, 5 * 1024 * 1024);
	struct raw_result result;

	(void)state;
	raw_unary(r->address, &(struct raw_call){ .path = SERVICE "Echo", .request = { data, 5 * 1024 * 1024 } },
		  &result);
	assert_int_equal(result.status, GRPC_CODE_RESOURCE_EXHAUSTED);
	EVENTUALLY(rig_logged(r) == 1);
	assert_int_equal(rig_last_code(r), E_LIMIT);
	rig_forget_log(r);
	check_echo(r, false);
}

static void metadata_that_is_too_big_is_refused(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	CLEANUP(freep) char *value = malloc(17 * 1024);
	struct raw_result result;

	(void)state;
	memset(value, 'x', 17 * 1024);
	value[17 * 1024 - 1] = 0;
	raw_unary(r->address,
		  &(struct raw_call){ .path = SERVICE "Echo", .request = text(""), .key = "x-big", .value = value },
		  &result);
	assert_int_equal(result.status, GRPC_CODE_RESOURCE_EXHAUSTED);
	check_echo(r, false);
}

/* ---- errors ---- */

static int fail_with(struct rig *r, const Echo__V1__FailRequest *request, struct err *err)
{
	CLEANUP(echo__v1__echo_service__fail_freep) Echo__V1__FailResponse *response = NULL;

	return echo__v1__echo_service__call_fail(r->channel, NULL, request, &response, err);
}

static void error_reaches_the_client_with_reason_and_numbers(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	Echo__V1__FailRequest request = ECHO__V1__FAIL_REQUEST__INIT;
	struct err err = ERR_INIT;

	(void)state;
	request.reason = (char *)"DISK_FULL";
	request.text = (char *)"no room for 100 % of 'größe'";
	request.needed_bytes = INT64_C(5000000000);
	request.free_bytes = 17;
	request.retry_after_ms = 1500;
	assert_int_equal(fail_with(r, &request, &err), E_DISK_FULL);
	assert_string_equal(err.text, request.text);
	assert_true(err.needed_bytes == request.needed_bytes);
	assert_true(err.free_bytes == 17);
	assert_true(err.retry_after_ms == 1500);
	assert_int_equal(rig_logged(r), 1);
	assert_int_equal(rig_last_code(r), E_DISK_FULL);
	assert_string_equal(r->last_text, request.text);
	assert_non_null(strstr(r->last_peer, "unix:uid="));
}

static void every_code_keeps_its_reason(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);

	(void)state;
	for (int code = -1; code > -CODE_COUNT_; code--) {
		Echo__V1__FailRequest request = ECHO__V1__FAIL_REQUEST__INIT;
		struct err err = ERR_INIT;

		request.reason = (char *)err_reason(code);
		request.text = (char *)"text";
		assert_int_equal(fail_with(r, &request, &err), code);
	}
}

static void details_hold_error_info_and_retry_info(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	struct raw_result result;
	Google__Rpc__Status *status;
	Google__Rpc__ErrorInfo *info;

	(void)state;
	/* reason "RATE_LIMITED", text "slow", retry_after_ms 2 */
	raw_unary(r->address,
		  &(struct raw_call){ .path = SERVICE "Fail",
				      .request = text("\x0a\x0cRATE_LIMITED\x12\x04slow\x28\x02") },
		  &result);
	assert_int_equal(result.status, GRPC_CODE_RESOURCE_EXHAUSTED);
	status = google__rpc__status__unpack(NULL, result.n_details, result.details);
	assert_non_null(status);
	assert_int_equal(status->code, result.status);
	assert_string_equal(status->message, "slow");
	assert_int_equal(status->n_details, 2);
	assert_string_equal(status->details[0]->type_url, "type.googleapis.com/google.rpc.ErrorInfo");
	assert_string_equal(status->details[1]->type_url, "type.googleapis.com/google.rpc.RetryInfo");
	info = google__rpc__error_info__unpack(NULL, status->details[0]->value.len, status->details[0]->value.data);
	assert_string_equal(info->reason, "RATE_LIMITED");
	assert_string_equal(info->domain, "imaged.dev");
	assert_int_equal(info->n_metadata, 1);
	assert_string_equal(info->metadata[0]->key, "request-id");
	assert_int_equal(strlen(info->metadata[0]->value), 16);
	google__rpc__error_info__free_unpacked(info, NULL);
	google__rpc__status__free_unpacked(status, NULL);
}

static void error_text_that_is_not_utf8_is_made_readable(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	Echo__V1__FailRequest request = ECHO__V1__FAIL_REQUEST__INIT;
	struct err err = ERR_INIT;

	(void)state;
	request.reason = (char *)"IO_ERROR";
	request.raw_text = (ProtobufCBinaryData){ 9, (uint8_t *)"a\xff\xc3\xbc\xc3 b\xe2\x82" };
	assert_int_equal(fail_with(r, &request, &err), E_IO);
	assert_string_equal(err.text, "a?\xc3\xbc? b??");
}

/* The worst text: every byte takes three in the status and the details hold it too. */
static void longest_error_text_fits_into_the_metadata(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	Echo__V1__FailRequest request = ECHO__V1__FAIL_REQUEST__INIT;
	struct err err = ERR_INIT;
	char longest[2000];

	(void)state;
	for (size_t i = 0; i + 2 < sizeof longest; i += 2)
		memcpy(longest + i, "\xc3\xbc", 2);
	longest[sizeof longest - 2] = 0;
	request.reason = (char *)"NO_MATCHING_PLATFORM";
	request.text = longest;
	request.needed_bytes = request.free_bytes = INT64_MAX;
	request.retry_after_ms = INT32_MAX;
	assert_int_equal(fail_with(r, &request, &err), E_NO_PLATFORM);
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
}

/* ---- deadline and cancellation ---- */

static int sleep_on(struct rig *r, const struct rpc_call_options *options, int64_t ms, struct err *err)
{
	CLEANUP(echo__v1__echo_service__sleep_freep) Echo__V1__SleepResponse *response = NULL;
	Echo__V1__SleepRequest request = ECHO__V1__SLEEP_REQUEST__INIT;

	request.ms = ms;
	return echo__v1__echo_service__call_sleep(r->channel, options, &request, &response, err);
}

static void deadline_ends_the_call_and_reaches_the_handler(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	struct rpc_call_options options = { .timeout_ms = 1500 }; /* the handler is reached before */
	struct err err = ERR_INIT;
	int64_t begin = clock_monotonic_ms();

	(void)state;
	assert_int_equal(sleep_on(r, &options, 600000, &err), E_DEADLINE);
	assert_true(clock_monotonic_ms() - begin < 60000);
	EVENTUALLY(atomic_load(&r->service.expired) == 1);
	EVENTUALLY(atomic_load(&r->service.running) == 0);
	EVENTUALLY(rig_logged(r) == 1);
	assert_int_equal(rig_last_code(r), E_DEADLINE);
}

static void *cancel_when_running(void *arg)
{
	void **args = arg;
	struct rig *r = args[0];

	EVENTUALLY(atomic_load(&r->service.running) == 1);
	cancel_fire(args[1], E_CANCELLED);
	return NULL;
}

static void cancellation_wakes_the_handler(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	CLEANUP(cancel_unrefp) struct cancel *cancel = cancel_new();
	struct rpc_call_options options = { .cancel = cancel };
	struct err err = ERR_INIT;
	void *args[] = { r, cancel };
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, cancel_when_running, args), 0);
	assert_int_equal(sleep_on(r, &options, 600000, &err), E_CANCELLED);
	pthread_join(thread, NULL);
	EVENTUALLY(atomic_load(&r->service.cancelled) == 1);
	EVENTUALLY(rpc_server_active(r->server) == 0);
}

static const char *self; /* /proc/self/exe would be valgrind */

static pid_t spawn_self(const char *mode, const char *address)
{
	char *argv[] = { (char *)self, (char *)mode, (char *)address, NULL };
	pid_t pid;

	assert_int_equal(posix_spawn(&pid, self, NULL, NULL, argv, environ), 0);
	return pid;
}

/* In a process of its own: a call that lasts until somebody kills it. */
static int client_main(const char *mode, const char *address)
{
	CLEANUP(rpc_channel_closep) struct rpc_channel *channel = NULL;
	struct rpc_channel_options options = { .address = address };
	Echo__V1__SleepRequest request = ECHO__V1__SLEEP_REQUEST__INIT;
	Echo__V1__SleepResponse *response;
	Echo__V1__Chunk chunk = ECHO__V1__CHUNK__INIT;
	struct echo__v1__echo_service__upload_stream *upload;
	struct err err = ERR_INIT;

	request.ms = 600000;
	if (rpc_channel_open(&options, &channel, &err) < 0)
		return 2;
	if (!strcmp(mode, "sleep"))
		return echo__v1__echo_service__call_sleep(channel, NULL, &request, &response, &err) == OK;
	if (echo__v1__echo_service__open_upload(channel, NULL, &upload, &err) < 0)
		return 3;
	for (;;)
		if (echo__v1__echo_service__upload_write(upload, &chunk, &err) < 0)
			return 4;
}

static void killed_client_wakes_the_handler(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	pid_t pid = spawn_self("sleep", r->address);

	(void)state;
	EVENTUALLY(atomic_load(&r->service.running) == 1);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	EVENTUALLY(atomic_load(&r->service.cancelled) == 1);
	EVENTUALLY(rpc_server_active(r->server) == 0);
}

/* RECV_MESSAGE ends in NULL both ways: a truncated upload must never look whole. */
static void killed_client_never_looks_like_the_end_of_its_stream(void **state)
{
	enum { ROUNDS = 30 };
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);

	(void)state;
	for (unsigned i = 1; i <= ROUNDS; i++) {
		pid_t pid = spawn_self("upload", r->address);

		EVENTUALLY(atomic_load(&r->service.running) == 1);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		EVENTUALLY(atomic_load(&r->service.running) == 0);
	}
	assert_int_equal(atomic_load(&r->service.half_closed), 0);
	assert_int_equal(atomic_load(&r->service.cancelled), ROUNDS);
}

/* ---- bounds ---- */

struct sleeper {
	struct rig *rig;
	pthread_t thread;
	struct cancel *cancel;
	int result;
};

static void *sleeper_main(void *arg)
{
	struct sleeper *s = arg;
	struct rpc_call_options options = { .cancel = s->cancel };
	struct err err = ERR_INIT;

	s->result = sleep_on(s->rig, &options, 600000, &err);
	return NULL;
}

static void full_pool_answers_service_busy_and_recovers(void **state)
{
	enum { HANDLERS = 2, QUEUED = 1, ALL = HANDLERS + QUEUED };
	struct rpc_server_options options = { .handlers = HANDLERS, .queued = QUEUED };
	CLEANUP(rig_freep) struct rig *r = rig_new(&options);
	CLEANUP(cancel_unrefp) struct cancel *cancel = cancel_new();
	struct sleeper sleepers[ALL];
	struct err err = ERR_INIT;

	(void)state;
	for (int i = 0; i < ALL; i++) {
		sleepers[i] = (struct sleeper){ .rig = r, .cancel = cancel };
		pthread_create(&sleepers[i].thread, NULL, sleeper_main, &sleepers[i]);
	}
	EVENTUALLY(atomic_load(&r->service.running) == HANDLERS && rpc_server_active(r->server) == ALL);
	assert_int_equal(sleep_on(r, NULL, 1, &err), E_BUSY);
	rig_forget_log(r);
	check_echo(r, true); /* inline calls are served meanwhile */
	cancel_fire(cancel, E_CANCELLED);
	for (int i = 0; i < ALL; i++) {
		pthread_join(sleepers[i].thread, NULL);
		assert_int_equal(sleepers[i].result, E_CANCELLED);
	}
	EVENTUALLY(rpc_server_active(r->server) == 0);
	rig_forget_log(r);
	check_echo(r, false);
}

static void streams_leave_the_threads_of_unary_calls_alone(void **state)
{
	enum { STREAMS = 2 };
	struct rpc_server_options options = { .handlers = 1, .queued = 1 };
	CLEANUP(rig_freep) struct rig *r = rig_new(&options);
	struct echo__v1__echo_service__chat_stream *streams[STREAMS];
	struct err err = ERR_INIT;

	(void)state;
	for (int i = 0; i < STREAMS; i++)
		assert_int_equal(echo__v1__echo_service__open_chat(r->channel, NULL, &streams[i], &err), OK);
	EVENTUALLY(rpc_server_active(r->server) == STREAMS);
	check_echo(r, false);
	for (int i = 0; i < STREAMS; i++)
		echo__v1__echo_service__chat_free(streams[i]);
}

static void *call_many(void *arg)
{
	struct rig *r = arg;

	for (int i = 0; i < 100; i++)
		check_echo(r, i % 2);
	return NULL;
}

static void many_threads_of_clients_are_served(void **state)
{
	enum { THREADS = 8 };
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, call_many, r);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&r->service.serial), THREADS * 100);
}

/* ---- identity ---- */

static void unix_peer_is_known_by_its_credentials(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	CLEANUP(echo__v1__echo_service__who_am_i_freep) Echo__V1__WhoAmIResponse *me = NULL;
	Echo__V1__WhoAmIRequest request = ECHO__V1__WHO_AM_IREQUEST__INIT;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(echo__v1__echo_service__call_who_am_i(r->channel, NULL, &request, &me, &err), OK);
	assert_int_equal(me->kind, ECHO__V1__WHO_AM_IRESPONSE__KIND__UNIX);
	assert_int_equal(me->uid, getuid());
	assert_int_equal(me->gid, getgid());
	assert_int_equal(me->pid, getpid());
	assert_string_equal(me->common_name, "");
	assert_int_equal(me->n_alt_names, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(call_is_served_on_the_pool_and_on_a_poller),
		cmocka_unit_test(empty_message_is_a_message),
		cmocka_unit_test(message_of_exactly_the_limit_is_taken),
		cmocka_unit_test(unknown_method_is_unimplemented),
		cmocka_unit_test(method_without_handler_is_unimplemented),
		cmocka_unit_test(garbage_is_invalid_argument),
		cmocka_unit_test(unary_call_without_message_is_invalid_argument),
		cmocka_unit_test(message_that_is_too_big_is_resource_exhausted),
		cmocka_unit_test(metadata_that_is_too_big_is_refused),
		cmocka_unit_test(error_reaches_the_client_with_reason_and_numbers),
		cmocka_unit_test(every_code_keeps_its_reason),
		cmocka_unit_test(details_hold_error_info_and_retry_info),
		cmocka_unit_test(error_text_that_is_not_utf8_is_made_readable),
		cmocka_unit_test(longest_error_text_fits_into_the_metadata),
		cmocka_unit_test(deadline_ends_the_call_and_reaches_the_handler),
		cmocka_unit_test(cancellation_wakes_the_handler),
		cmocka_unit_test(killed_client_wakes_the_handler),
		cmocka_unit_test(killed_client_never_looks_like_the_end_of_its_stream),
		cmocka_unit_test(full_pool_answers_service_busy_and_recovers),
		cmocka_unit_test(streams_leave_the_threads_of_unary_calls_alone),
		cmocka_unit_test(many_threads_of_clients_are_served),
		cmocka_unit_test(unix_peer_is_known_by_its_credentials),
	};

	self = argv[0];
	if (argc == 3)
		return client_main(argv[1], argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The installed C library's calls (public=imaged of protoc-gen-imaged-c) of all four
 * kinds, as a program sees them: nothing but public headers here.
 *
 *   test_echo NAME ADDRESS [CA [CERT KEY]]
 *
 * Prints "ok c.NAME.TEST" or "FAIL c.NAME.TEST" for each test.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "echo/v1/echo_service.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define CHECK(condition)                                                        \
	do {                                                                    \
		if (!(condition)) {                                             \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
			return 1;                                               \
		}                                                               \
	} while (0)

enum { PATIENCE_MS = 20000, MANY = 200 };

/* ---- unary ---------------------------------------------------------------------- */

static int response_belongs_to_the_caller(struct imaged_channel *channel)
{
	struct imaged_call_options options = IMAGED_CALL_OPTIONS_INIT;
	struct imaged_error error = IMAGED_ERROR_INIT;
	Echo__V1__EchoRequest request = ECHO__V1__ECHO_REQUEST__INIT;
	Echo__V1__EchoResponse *response = NULL;
	char text[] = "grüße";

	options.timeout_ms = PATIENCE_MS;
	request.text = text;
	request.choice_case = ECHO__V1__ECHO_REQUEST__CHOICE_NUMBER;
	request.number = -7;
	CHECK(imaged_echo(channel, &options, &request, &response, &error) == 0);
	memset(text, 'x', sizeof text - 1);
	CHECK(!strcmp(response->echo->text, "grüße"));
	CHECK(response->echo->choice_case == ECHO__V1__ECHO_REQUEST__CHOICE_NUMBER && response->echo->number == -7);
	CHECK(error.code == IMAGED_OK && !*error.message);
	imaged_echo_free(response);
	imaged_echo_free(NULL);
	return 0;
}

static int response_and_error_may_be_left_out(struct imaged_channel *channel)
{
	Echo__V1__EchoRequest request = ECHO__V1__ECHO_REQUEST__INIT;
	Echo__V1__FailRequest fail = ECHO__V1__FAIL_REQUEST__INIT;
	char reason[] = "NO_SUCH_IMAGE";

	fail.reason = reason;
	CHECK(imaged_echo(channel, NULL, &request, NULL, NULL) == 0);
	CHECK(imaged_fail(channel, NULL, &fail, NULL, NULL) == -IMAGED_NOT_FOUND);
	return 0;
}

static int error_has_code_reason_text_and_sizes(struct imaged_channel *channel)
{
	struct imaged_error error = IMAGED_ERROR_INIT;
	Echo__V1__FailRequest request = ECHO__V1__FAIL_REQUEST__INIT;
	Echo__V1__FailResponse *response = (Echo__V1__FailResponse *)&request;
	char reason[] = "DISK_FULL", text[] = "there is no room for --tlscacert";

	request.reason = reason;
	request.text = text;
	request.needed_bytes = 1LL << 40;
	request.free_bytes = 12345;
	request.retry_after_ms = 1500;
	CHECK(imaged_fail(channel, NULL, &request, &response, &error) == -IMAGED_RESOURCE_EXHAUSTED);
	CHECK(error.code == IMAGED_RESOURCE_EXHAUSTED && !strcmp(error.reason, "DISK_FULL"));
	CHECK(!strcmp(error.message, text)); /* a server's words stay as they are */
	CHECK(error.needed_bytes == 1LL << 40 && error.free_bytes == 12345 && error.retry_after_ms == 1500);
	CHECK(response == (Echo__V1__FailResponse *)&request); /* written on success only */
	return 0;
}

static int unserved_call_says_so(struct imaged_channel *channel)
{
	struct imaged_error error = IMAGED_ERROR_INIT;
	Echo__V1__WatchRequest request = ECHO__V1__WATCH_REQUEST__INIT;

	CHECK(imaged_missing(channel, NULL, &request, NULL, &error) == -IMAGED_UNIMPLEMENTED);
	CHECK(!strcmp(error.reason, "UNIMPLEMENTED") && *error.message);
	return 0;
}

/* ---- ends ----------------------------------------------------------------------- */

static int deadline_ends_a_call(struct imaged_channel *channel)
{
	struct imaged_call_options options = IMAGED_CALL_OPTIONS_INIT;
	struct imaged_error error = IMAGED_ERROR_INIT;
	Echo__V1__SleepRequest request = ECHO__V1__SLEEP_REQUEST__INIT;

	options.timeout_ms = 50;
	request.ms = PATIENCE_MS;
	CHECK(imaged_sleep(channel, &options, &request, NULL, &error) == -IMAGED_DEADLINE_EXCEEDED);
	CHECK(!strcmp(error.reason, "DEADLINE_EXCEEDED"));
	return 0;
}

static void *fire(void *cancel)
{
	imaged_cancel_fire(cancel);
	return NULL;
}

static int token_ends_a_call_from_another_thread(struct imaged_channel *channel)
{
	struct imaged_call_options options = IMAGED_CALL_OPTIONS_INIT;
	struct imaged_error error = IMAGED_ERROR_INIT;
	Echo__V1__SleepRequest request = ECHO__V1__SLEEP_REQUEST__INIT;
	pthread_t thread;

	options.timeout_ms = PATIENCE_MS;
	options.cancel = imaged_cancel_new();
	request.ms = PATIENCE_MS;
	CHECK(options.cancel && pthread_create(&thread, NULL, fire, options.cancel) == 0);
	CHECK(imaged_sleep(channel, &options, &request, NULL, &error) == -IMAGED_CANCELLED);
	CHECK(!strcmp(error.reason, "CANCELLED"));
	pthread_join(thread, NULL);
	CHECK(imaged_sleep(channel, &options, &request, NULL, NULL) == -IMAGED_CANCELLED); /* for good */
	imaged_cancel_free(options.cancel);
	imaged_cancel_free(NULL);
	return 0;
}

/* ---- streams -------------------------------------------------------------------- */

static int server_stream_gives_all_and_ends(struct imaged_channel *channel)
{
	struct imaged_error error = IMAGED_ERROR_INIT;
	struct imaged_count_stream *stream = NULL;
	Echo__V1__CountRequest request = ECHO__V1__COUNT_REQUEST__INIT;
	const Echo__V1__Chunk *chunk;

	request.count = MANY;
	request.size = 1000;
	CHECK(imaged_count_open(channel, NULL, &request, &stream, &error) == 0);
	for (uint64_t i = 1; i <= MANY; i++) {
		CHECK(imaged_count_next(stream, &chunk, &error) == 1);
		CHECK(chunk->serial == i && chunk->data.len == 1000);
	}
	CHECK(imaged_count_next(stream, &chunk, &error) == 0);
	CHECK(imaged_count_next(stream, &chunk, &error) == 0); /* and again */
	imaged_count_free(stream);
	imaged_count_free(NULL);
	return 0;
}

static int stream_that_fails_gives_the_status(struct imaged_channel *channel)
{
	struct imaged_error error = IMAGED_ERROR_INIT;
	struct imaged_count_stream *stream = NULL;
	Echo__V1__CountRequest request = ECHO__V1__COUNT_REQUEST__INIT;
	const Echo__V1__Chunk *chunk;

	request.size = UINT64_MAX;
	CHECK(imaged_count_open(channel, NULL, &request, &stream, &error) == 0);
	CHECK(imaged_count_next(stream, &chunk, &error) == -IMAGED_INVALID_ARGUMENT);
	CHECK(!strcmp(error.reason, "INVALID_ARGUMENT") && strstr(error.message, "chunks have at most"));
	imaged_count_free(stream);
	return 0;
}

static int stream_can_be_left_in_its_middle(struct imaged_channel *channel)
{
	struct imaged_count_stream *stream = NULL;
	Echo__V1__CountRequest request = ECHO__V1__COUNT_REQUEST__INIT;
	const Echo__V1__Chunk *chunk;

	request.count = 1000 * 1000;
	request.size = 1000;
	CHECK(imaged_count_open(channel, NULL, &request, &stream, NULL) == 0);
	CHECK(imaged_count_next(stream, &chunk, NULL) == 1);
	imaged_count_free(stream);
	return 0;
}

static void *cancel_watch(void *stream)
{
	imaged_watch_cancel(stream);
	return NULL;
}

static int stream_can_be_cancelled_from_another_thread(struct imaged_channel *channel)
{
	struct imaged_error error = IMAGED_ERROR_INIT;
	struct imaged_watch_stream *stream = NULL;
	Echo__V1__WatchRequest request = ECHO__V1__WATCH_REQUEST__INIT;
	const Echo__V1__Chunk *chunk;
	pthread_t thread;

	CHECK(imaged_watch_open(channel, NULL, &request, &stream, &error) == 0);
	CHECK(imaged_watch_next(stream, &chunk, &error) == 1);
	CHECK(pthread_create(&thread, NULL, cancel_watch, stream) == 0);
	CHECK(imaged_watch_next(stream, &chunk, &error) == -IMAGED_CANCELLED);
	CHECK(!strcmp(error.reason, "CANCELLED"));
	pthread_join(thread, NULL);
	imaged_watch_free(stream);
	return 0;
}

static int client_stream_is_summed_up(struct imaged_channel *channel)
{
	static uint8_t bytes[1000];
	struct imaged_error error = IMAGED_ERROR_INIT;
	struct imaged_upload_stream *stream = NULL;
	Echo__V1__Chunk chunk = ECHO__V1__CHUNK__INIT;
	const Echo__V1__SumResponse *sum;

	CHECK(imaged_upload_open(channel, NULL, &stream, &error) == 0);
	chunk.data.data = bytes;
	chunk.data.len = sizeof bytes;
	for (int i = 0; i < MANY; i++)
		CHECK(imaged_upload_send(stream, &chunk, &error) == 0);
	CHECK(imaged_upload_close_send(stream, &error) == 0);
	CHECK(imaged_upload_next(stream, &sum, &error) == 1);
	CHECK(sum->chunks == MANY && sum->bytes == MANY * sizeof bytes);
	CHECK(imaged_upload_next(stream, &sum, &error) == 0);
	imaged_upload_free(stream);
	return 0;
}

static void *send_many(void *stream)
{
	Echo__V1__EchoRequest request = ECHO__V1__ECHO_REQUEST__INIT;

	for (int i = 0; i < MANY; i++) {
		request.negative = -i;
		if (imaged_chat_send(stream, &request, NULL) < 0)
			return NULL;
	}
	return imaged_chat_close_send(stream, NULL) < 0 ? NULL : stream;
}

static int one_thread_sends_while_another_receives(struct imaged_channel *channel)
{
	struct imaged_error error = IMAGED_ERROR_INIT;
	struct imaged_chat_stream *stream = NULL;
	const Echo__V1__EchoResponse *response;
	pthread_t thread;
	void *sent;

	CHECK(imaged_chat_open(channel, NULL, &stream, &error) == 0);
	CHECK(pthread_create(&thread, NULL, send_many, stream) == 0);
	for (int i = 0; i < MANY; i++) {
		CHECK(imaged_chat_next(stream, &response, &error) == 1);
		CHECK(response->echo->negative == -i);
	}
	CHECK(imaged_chat_next(stream, &response, &error) == 0);
	pthread_join(thread, &sent);
	CHECK(sent == stream);
	imaged_chat_free(stream);
	return 0;
}

/* ---- options -------------------------------------------------------------------- */

/* As a program has them that was built with a header of another version. */
static int options_of_other_versions_are_understood(struct imaged_channel *channel)
{
	struct {
		struct imaged_call_options known;
		const char *newer;
	} options = { IMAGED_CALL_OPTIONS_INIT, NULL };
	struct imaged_error error = IMAGED_ERROR_INIT;
	Echo__V1__SleepRequest request = ECHO__V1__SLEEP_REQUEST__INIT;

	options.known.size = sizeof options;
	options.known.timeout_ms = PATIENCE_MS;
	CHECK(imaged_sleep(channel, &options.known, &request, NULL, &error) == 0);
	options.newer = "asked for";
	CHECK(imaged_sleep(channel, &options.known, &request, NULL, &error) == -IMAGED_INVALID_ARGUMENT);
	CHECK(!strcmp(error.reason, "USAGE"));
	options.known.size = offsetof(struct imaged_call_options, timeout_ms);
	options.known.timeout_ms = 1; /* not there, in that version */
	request.ms = 20;
	CHECK(imaged_sleep(channel, &options.known, &request, NULL, &error) == 0);
	options.known.size = 0;
	CHECK(imaged_sleep(channel, &options.known, &request, NULL, &error) == -IMAGED_INVALID_ARGUMENT);
	CHECK(strstr(error.message, "IMAGED_CALL_OPTIONS_INIT"));
	return 0;
}

static int channel_connects_when_it_is_asked_to(struct imaged_channel *channel)
{
	struct imaged_error error = IMAGED_ERROR_INIT;

	CHECK(imaged_channel_connect(channel, 0, &error) == 0);
	return 0;
}

static int connection_that_fails_names_address_and_options(struct imaged_channel *channel)
{
	struct imaged_channel_options options = IMAGED_CHANNEL_OPTIONS_INIT;
	struct imaged_error error = IMAGED_ERROR_INIT;
	struct imaged_channel *other = channel;

	options.address = "tcp://localhost:1";
	options.ca_file = "/nowhere/ca.pem";
	options.key_file = "/nowhere/key.pem";
	CHECK(imaged_channel_open(&options, &other, &error) == -IMAGED_INVALID_ARGUMENT);
	CHECK(!strcmp(error.reason, "USAGE"));
	options.key_file = NULL;
	CHECK(imaged_channel_open(&options, &other, &error) == -IMAGED_UNAVAILABLE);
	CHECK(!strcmp(error.reason, "DAEMON_UNREACHABLE") && strstr(error.message, "/nowhere/ca.pem"));
	CHECK(other == channel);
	options.ca_file = NULL;
	options.address = "unix:///nowhere/imaged.sock";
	CHECK(imaged_channel_open(&options, &other, &error) == 0);
	CHECK(imaged_channel_connect(other, PATIENCE_MS, &error) == -IMAGED_UNAVAILABLE);
	CHECK(!strcmp(error.reason, "DAEMON_UNREACHABLE") && strstr(error.message, options.address));
	imaged_channel_close(other);
	imaged_channel_close(NULL);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(struct imaged_channel *channel);
} tests[] = {
#define TEST(name)          \
	{                   \
#name, name \
	}
	TEST(response_belongs_to_the_caller),
	TEST(response_and_error_may_be_left_out),
	TEST(error_has_code_reason_text_and_sizes),
	TEST(unserved_call_says_so),
	TEST(deadline_ends_a_call),
	TEST(token_ends_a_call_from_another_thread),
	TEST(server_stream_gives_all_and_ends),
	TEST(stream_that_fails_gives_the_status),
	TEST(stream_can_be_left_in_its_middle),
	TEST(stream_can_be_cancelled_from_another_thread),
	TEST(client_stream_is_summed_up),
	TEST(one_thread_sends_while_another_receives),
	TEST(options_of_other_versions_are_understood),
	TEST(channel_connects_when_it_is_asked_to),
	TEST(connection_that_fails_names_address_and_options),
#undef TEST
};

int main(int argc, char **argv)
{
	struct imaged_channel_options options = IMAGED_CHANNEL_OPTIONS_INIT;
	struct imaged_error error = IMAGED_ERROR_INIT;
	struct imaged_channel *channel = NULL;
	int failed = 0;

	if (argc < 3) {
		fprintf(stderr, "usage: %s NAME ADDRESS [CA [CERT KEY]]\n", argv[0]);
		return 2;
	}
	options.address = argv[2];
	options.ca_file = argc > 3 ? argv[3] : NULL;
	options.cert_file = argc > 5 ? argv[4] : NULL;
	options.key_file = argc > 5 ? argv[5] : NULL;
	if (imaged_channel_open(&options, &channel, &error) < 0) {
		fprintf(stderr, "%s (%s)\n", error.message, error.reason);
		return 1;
	}
	for (size_t i = 0; i < COUNT(tests); i++) {
		int r = tests[i].run(channel);

		printf("%s c.%s.%s\n", r ? "FAIL" : "ok", argv[1], tests[i].name);
		failed += r;
	}
	if (!failed) /* a test that fails leaves its stream open */
		imaged_channel_close(channel);
	return failed != 0;
}

/* Streams of all kinds against python3-grpcio. */
#include <pthread.h>

#include "tests/unit/client/peer.h"

/* Whether the channel still works: a stream left its queue and call in order. */
static void assert_usable(struct rpc_channel *channel)
{
	CLEANUP(wiretest__wire__echo_freep) Wiretest__Everything *m = NULL;
	Wiretest__Everything request = WIRETEST__EVERYTHING__INIT;
	struct err err = ERR_INIT;

	assert_ok(wiretest__wire__call_echo(channel, NULL, &request, &m, &err), err);
}

static void server_stream_gives_all_messages_then_the_end(UNUSED void **state)
{
	CLEANUP(rpc_channel_closep) struct rpc_channel *channel = peer_channel();
	CLEANUP(wiretest__wire__count_freep) struct wiretest__wire__count_stream *stream = NULL;
	Wiretest__Number n = WIRETEST__NUMBER__INIT;
	const Wiretest__Number *message;
	struct err err = ERR_INIT;
	int64_t seen = 0;
	int r;

	n.value = 1000;
	assert_ok(wiretest__wire__open_count(channel, NULL, &n, &stream, &err), err);
	while ((r = wiretest__wire__count_next(stream, &message, &err)) > 0)
		assert_int_equal(message->value, seen++);
	assert_int_equal(r, 0);
	assert_int_equal(seen, 1000);
	assert_int_equal(wiretest__wire__count_next(stream, &message, &err), 0);
}

static void stream_without_messages_just_ends(UNUSED void **state)
{
	CLEANUP(rpc_channel_closep) struct rpc_channel *channel = peer_channel();
	CLEANUP(wiretest__wire__count_freep) struct wiretest__wire__count_stream *stream = NULL;
	Wiretest__Number n = WIRETEST__NUMBER__INIT;
	const Wiretest__Number *message;
	struct err err = ERR_INIT;

	assert_ok(wiretest__wire__open_count(channel, NULL, &n, &stream, &err), err);
	assert_int_equal(wiretest__wire__count_next(stream, &message, &err), 0);
}

static void failed_stream_tells_its_status_each_time(UNUSED void **state)
{
	CLEANUP(rpc_channel_closep) struct rpc_channel *channel = peer_channel();
	CLEANUP(wiretest__wire__count_then_fail_freep) struct wiretest__wire__count_then_fail_stream *stream = NULL;
	Wiretest__Failure failure = WIRETEST__FAILURE__INIT;
	const Wiretest__Number *message;
	struct err err = ERR_INIT;

	failure.code = GRPC_CODE_NOT_FOUND;
	failure.message = "no such thing";
	assert_ok(wiretest__wire__open_count_then_fail(channel, NULL, &failure, &stream, &err), err);
	assert_int_equal(wiretest__wire__count_then_fail_next(stream, &message, &err), 1);
	assert_int_equal(message->value, 7);
	for (int i = 0; i < 2; i++) {
		err = (struct err)ERR_INIT;
		assert_int_equal(wiretest__wire__count_then_fail_next(stream, &message, &err), E_NOT_FOUND);
		assert_string_equal(err.text, "no such thing");
	}
}

static void client_stream_sums_up(UNUSED void **state)
{
	CLEANUP(rpc_channel_closep) struct rpc_channel *channel = peer_channel();
	CLEANUP(wiretest__wire__sum_freep) struct wiretest__wire__sum_stream *stream = NULL;
	Wiretest__Number n = WIRETEST__NUMBER__INIT;
	const Wiretest__Number *sum;
	struct err err = ERR_INIT;

	assert_ok(wiretest__wire__open_sum(channel, NULL, &stream, &err), err);
	for (n.value = 1; n.value <= 100; n.value++)
		assert_ok(wiretest__wire__sum_write(stream, &n, &err), err);
	assert_ok(wiretest__wire__sum_close_write(stream, &err), err);
	assert_int_equal(wiretest__wire__sum_next(stream, &sum, &err), 1);
	assert_int_equal(sum->value, 5050);
	assert_int_equal(wiretest__wire__sum_next(stream, &sum, &err), 0);
}

static void write_after_the_server_ended_the_call_aborts(UNUSED void **state)
{
	CLEANUP(rpc_channel_closep) struct rpc_channel *channel = peer_channel();
	CLEANUP(wiretest__wire__sum_impatient_freep) struct wiretest__wire__sum_impatient_stream *stream = NULL;
	Wiretest__Number n = WIRETEST__NUMBER__INIT;
	const Wiretest__Number *sum;
	struct err err = ERR_INIT;
	int r = OK;

	assert_ok(wiretest__wire__open_sum_impatient(channel, NULL, &stream, &err), err);
	while (r == OK)
		r = wiretest__wire__sum_impatient_write(stream, &n, &err);
	assert_int_equal(r, E_ABORTED);
	assert_int_equal(wiretest__wire__sum_impatient_next(stream, &sum, &err), E_ABORTED);
	assert_string_equal(err.text, "one was enough");
}

static void bidi_answers_each_message(UNUSED void **state)
{
	CLEANUP(rpc_channel_closep) struct rpc_channel *channel = peer_channel();
	CLEANUP(wiretest__wire__shout_freep) struct wiretest__wire__shout_stream *stream = NULL;
	Wiretest__Text text = WIRETEST__TEXT__INIT;
	const Wiretest__Text *answer;
	struct err err = ERR_INIT;

	assert_ok(wiretest__wire__open_shout(channel, NULL, &stream, &err), err);
	for (int i = 0; i < 20; i++) {
		text.text = i % 2 ? "one" : "two";
		assert_ok(wiretest__wire__shout_write(stream, &text, &err), err);
		assert_int_equal(wiretest__wire__shout_next(stream, &answer, &err), 1);
		assert_string_equal(answer->text, i % 2 ? "ONE" : "TWO");
	}
	assert_ok(wiretest__wire__shout_close_write(stream, &err), err);
	assert_int_equal(wiretest__wire__shout_next(stream, &answer, &err), 0);
}

enum { BIDI_MESSAGES = 500 };

static void *write_all(void *arg)
{
	struct wiretest__wire__shout_stream *stream = arg;
	Wiretest__Text text = WIRETEST__TEXT__INIT;
	bool ok = true;

	text.text = "word";
	for (int i = 0; ok && i < BIDI_MESSAGES; i++)
		ok = wiretest__wire__shout_write(stream, &text, NULL) == OK;
	ok = ok && wiretest__wire__shout_close_write(stream, NULL) == OK;
	return ok ? arg : NULL;
}

static void one_thread_writes_while_another_reads(UNUSED void **state)
{
	CLEANUP(rpc_channel_closep) struct rpc_channel *channel = peer_channel();
	CLEANUP(wiretest__wire__shout_freep) struct wiretest__wire__shout_stream *stream = NULL;
	const Wiretest__Text *answer;
	struct err err = ERR_INIT;
	pthread_t writer;
	void *wrote = NULL;
	int n = 0;

	assert_ok(wiretest__wire__open_shout(channel, NULL, &stream, &err), err);
	assert_int_equal(pthread_create(&writer, NULL, write_all, stream), 0);
	while (wiretest__wire__shout_next(stream, &answer, &err) > 0)
		n++;
	pthread_join(writer, &wrote);
	assert_ptr_equal(wrote, stream);
	assert_int_equal(n, BIDI_MESSAGES);
}

static void freeing_a_running_stream_ends_it(UNUSED void **state)
{
	CLEANUP(rpc_channel_closep) struct rpc_channel *channel = peer_channel();
	Wiretest__Number n = WIRETEST__NUMBER__INIT;
	struct err err = ERR_INIT;

	n.value = 1000000;
	for (int reads = 0; reads < 3; reads++) {
		struct wiretest__wire__count_stream *stream = NULL;
		const Wiretest__Number *message;

		assert_ok(wiretest__wire__open_count(channel, NULL, &n, &stream, &err), err);
		for (int i = 0; i < reads; i++)
			assert_int_equal(wiretest__wire__count_next(stream, &message, &err), 1);
		wiretest__wire__count_free(stream);
	}
	assert_usable(channel);
}

static void *cancel_stream(void *arg)
{
	wiretest__wire__count_then_hang_cancel(arg);
	return NULL;
}

static void cancel_from_another_thread_wakes_the_reader(UNUSED void **state)
{
	CLEANUP(rpc_channel_closep) struct rpc_channel *channel = peer_channel();
	CLEANUP(wiretest__wire__count_then_hang_freep) struct wiretest__wire__count_then_hang_stream *stream = NULL;
	Wiretest__Number n = WIRETEST__NUMBER__INIT;
	const Wiretest__Number *message;
	struct err err = ERR_INIT;
	pthread_t thread;

	assert_ok(wiretest__wire__open_count_then_hang(channel, NULL, &n, &stream, &err), err);
	assert_int_equal(wiretest__wire__count_then_hang_next(stream, &message, &err), 1);
	assert_int_equal(pthread_create(&thread, NULL, cancel_stream, stream), 0);
	assert_int_equal(wiretest__wire__count_then_hang_next(stream, &message, &err), E_CANCELLED);
	pthread_join(thread, NULL);
	assert_usable(channel);
}

static void bad_message_ends_the_stream(UNUSED void **state)
{
	CLEANUP(rpc_channel_closep) struct rpc_channel *channel = peer_channel();
	CLEANUP(wiretest__wire__raw_stream_freep) struct wiretest__wire__raw_stream_stream *stream = NULL;
	Wiretest__Blob blob = WIRETEST__BLOB__INIT;
	const Wiretest__Text *message;
	struct err err = ERR_INIT;

	blob.data = (ProtobufCBinaryData){ 3, (uint8_t *)"\x0a\x01\xff" };
	assert_ok(wiretest__wire__open_raw_stream(channel, NULL, &blob, &stream, &err), err);
	assert_int_equal(wiretest__wire__raw_stream_next(stream, &message, &err), E_INTERNAL);
	assert_int_equal(wiretest__wire__raw_stream_next(stream, &message, &err), E_INTERNAL);
	assert_non_null(strstr(err.text, "UTF-8"));
	assert_usable(channel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(server_stream_gives_all_messages_then_the_end),
		cmocka_unit_test(stream_without_messages_just_ends),
		cmocka_unit_test(failed_stream_tells_its_status_each_time),
		cmocka_unit_test(client_stream_sums_up),
		cmocka_unit_test(write_after_the_server_ended_the_call_aborts),
		cmocka_unit_test(bidi_answers_each_message),
		cmocka_unit_test(one_thread_writes_while_another_reads),
		cmocka_unit_test(freeing_a_running_stream_ends_it),
		cmocka_unit_test(cancel_from_another_thread_wakes_the_reader),
		cmocka_unit_test(bad_message_ends_the_stream),
	};

	if (!peer_available())
		return 0;
	return cmocka_run_group_tests(tests, peer_start, peer_stop);
}

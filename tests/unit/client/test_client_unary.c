/* Unary calls against python3-grpcio: the wire of every field type, sizes, retries. */
#include <pthread.h>

#include "tests/unit/client/peer.h"

static Wiretest__Inner red = WIRETEST__INNER__INIT;
static Wiretest__Inner plain = WIRETEST__INNER__INIT;

/* A message with something in every field. */
static void fill(Wiretest__Everything *m)
{
	static int32_t numbers[] = { 0, -1, INT32_MIN, INT32_MAX };
	static char *words[] = { "", "two words", "日本" };
	static Wiretest__Inner *inners[] = { &red, &plain };
	static Wiretest__Everything__CountsEntry count = WIRETEST__EVERYTHING__COUNTS_ENTRY__INIT;
	static Wiretest__Everything__CountsEntry *counts[] = { &count };
	static Wiretest__Everything__ByNumberEntry entry = WIRETEST__EVERYTHING__BY_NUMBER_ENTRY__INIT;
	static Wiretest__Everything__ByNumberEntry *entries[] = { &entry };
	static Google__Protobuf__Timestamp when = GOOGLE__PROTOBUF__TIMESTAMP__INIT;

	wiretest__everything__init(m);
	red.name = "red one";
	red.colour = WIRETEST__COLOUR__COLOUR_RED;
	count.key = "k";
	count.value = INT64_MIN;
	entry.key = -5;
	entry.value = &red;
	when.seconds = 4102444800; /* 2100-01-01 */
	m->a_double = -0.5;
	m->a_float = 1.5;
	m->an_int32 = INT32_MIN;
	m->an_int64 = INT64_MIN;
	m->a_uint32 = UINT32_MAX;
	m->a_uint64 = UINT64_MAX;
	m->a_sint32 = -1;
	m->a_sint64 = INT64_MIN;
	m->a_fixed32 = 7;
	m->a_fixed64 = UINT64_MAX;
	m->a_sfixed32 = -7;
	m->a_sfixed64 = INT64_MIN;
	m->a_bool = 1;
	m->a_string = "text with \" and 😀";
	m->some_bytes = (ProtobufCBinaryData){ 3, (uint8_t *)"\0\xff\n" };
	m->colour = WIRETEST__COLOUR__COLOUR_NEGATIVE;
	m->inner = &plain; /* present, and empty */
	m->numbers = numbers;
	m->n_numbers = ARRAY_LEN(numbers);
	m->words = words;
	m->n_words = ARRAY_LEN(words);
	m->inners = inners;
	m->n_inners = ARRAY_LEN(inners);
	m->counts = counts;
	m->n_counts = 1;
	m->by_number = entries;
	m->n_by_number = 1;
	m->choice_case = WIRETEST__EVERYTHING__CHOICE_CHOICE_INNER;
	m->choice_inner = &red;
	m->when = &when;
}

static void foreign_server_reads_every_field_type(UNUSED void **state)
{
	static const char wanted[] =
		"{\"a_bool\":true,\"a_double\":-0.5,\"a_fixed32\":7,\"a_fixed64\":\"18446744073709551615\","
		"\"a_float\":1.5,\"a_sfixed32\":-7,\"a_sfixed64\":\"-9223372036854775808\",\"a_sint32\":-1,"
		"\"a_sint64\":\"-9223372036854775808\",\"a_string\":\"text with \\\" and \\ud83d\\ude00\","
		"\"a_uint32\":4294967295,\"a_uint64\":\"18446744073709551615\",\"an_int32\":-2147483648,"
		"\"an_int64\":\"-9223372036854775808\",\"by_number\":{\"-5\":{\"colour\":\"COLOUR_RED\",\"name\":\"red "
		"one\"}},"
		"\"choice_inner\":{\"colour\":\"COLOUR_RED\",\"name\":\"red one\"},\"colour\":\"COLOUR_NEGATIVE\","
		"\"counts\":{\"k\":\"-9223372036854775808\"},\"inner\":{},"
		"\"inners\":[{\"colour\":\"COLOUR_RED\",\"name\":\"red one\"},{}],"
		"\"numbers\":[0,-1,-2147483648,2147483647],\"some_bytes\":\"AP8K\","
		"\"when\":\"2100-01-01T00:00:00Z\",\"words\":[\"\",\"two words\",\"\\u65e5\\u672c\"]}";
	CLEANUP(rpc_channel_closep) struct rpc_channel *channel = peer_channel();
	CLEANUP(wiretest__wire__describe_freep) Wiretest__Text *text = NULL;
	Wiretest__Everything request;
	struct err err = ERR_INIT;

	fill(&request);
	assert_ok(wiretest__wire__call_describe(channel, NULL, &request, &text, &err), err);
	assert_string_equal(text->text, wanted);
}

static void foreign_reply_has_every_field_type(UNUSED void **state)
{
	CLEANUP(rpc_channel_closep) struct rpc_channel *channel = peer_channel();
	CLEANUP(wiretest__wire__echo_freep) Wiretest__Everything *m = NULL;
	Wiretest__Everything request;
	struct err err = ERR_INIT;

	fill(&request);
	assert_ok(wiretest__wire__call_echo(channel, NULL, &request, &m, &err), err);
	assert_true(m->a_double == -0.5 && m->a_float == 1.5F);
	assert_true(m->an_int32 == INT32_MIN && m->an_int64 == INT64_MIN && m->a_uint64 == UINT64_MAX);
	assert_true(m->a_sint32 == -1 && m->a_sfixed64 == INT64_MIN && m->a_fixed32 == 7 && m->a_bool);
	assert_string_equal(m->a_string, request.a_string);
	assert_memory_equal(m->some_bytes.data, "\0\xff\n", 3);
	assert_int_equal(m->colour, -1);
	assert_non_null(m->inner);
	assert_int_equal(m->n_numbers, 4);
	assert_int_equal(m->numbers[2], INT32_MIN);
	assert_string_equal(m->words[2], "日本");
	assert_string_equal(m->inners[0]->name, "red one");
	assert_string_equal(m->counts[0]->key, "k");
	assert_true(m->counts[0]->value == INT64_MIN);
	assert_int_equal(m->by_number[0]->key, -5);
	assert_string_equal(m->by_number[0]->value->name, "red one");
	assert_int_equal(m->choice_case, WIRETEST__EVERYTHING__CHOICE_CHOICE_INNER);
	assert_int_equal(m->choice_inner->colour, WIRETEST__COLOUR__COLOUR_RED);
	assert_true(m->when->seconds == 4102444800);
}

static void empty_message_goes_both_ways(UNUSED void **state)
{
	CLEANUP(rpc_channel_closep) struct rpc_channel *channel = peer_channel();
	CLEANUP(wiretest__wire__echo_freep) Wiretest__Everything *m = NULL;
	Wiretest__Everything request = WIRETEST__EVERYTHING__INIT;
	struct err err = ERR_INIT;

	assert_ok(wiretest__wire__call_echo(channel, NULL, &request, &m, &err), err);
	assert_int_equal(m->choice_case, WIRETEST__EVERYTHING__CHOICE__NOT_SET);
	assert_string_equal(m->a_string, "");
	assert_null(m->inner);
}

/* Two bytes on the wire each, and a structure in memory. */
static void reply_that_unpacks_to_far_more_than_it_was_is_refused(UNUSED void **state)
{
	enum { MANY = 200 * 1000 };
	CLEANUP(rpc_channel_closep) struct rpc_channel *channel = peer_channel();
	CLEANUP(wiretest__wire__echo_freep) Wiretest__Everything *m = NULL;
	CLEANUP(freep) Wiretest__Inner **inners = calloc(MANY, sizeof *inners);
	Wiretest__Everything request = WIRETEST__EVERYTHING__INIT;
	struct err err = ERR_INIT;

	assert_non_null(inners);
	for (size_t i = 0; i < MANY; i++)
		inners[i] = &plain;
	request.inners = inners;
	request.n_inners = MANY;
	assert_int_equal(wiretest__wire__call_echo(channel, NULL, &request, &m, &err), E_INTERNAL);
	assert_non_null(strstr(err.text, "takes too much memory"));
	assert_null(m);
}

static int call_raw(struct rpc_channel *channel, const char *wire, size_t len, struct err *err)
{
	CLEANUP(wiretest__wire__raw_freep) Wiretest__Text *text = NULL;
	Wiretest__Blob blob = WIRETEST__BLOB__INIT;

	blob.data = (ProtobufCBinaryData){ len, (uint8_t *)wire };
	return wiretest__wire__call_raw(channel, NULL, &blob, &text, err);
}

static void bad_reply_is_an_internal_error(UNUSED void **state)
{
	CLEANUP(rpc_channel_closep) struct rpc_channel *channel = peer_channel();
	struct err err = ERR_INIT;

	assert_ok(call_raw(channel, "\x0a\x02hi", 4, &err), err);
	assert_int_equal(call_raw(channel, "\x0a\x05hi", 4, &err), E_INTERNAL);
	assert_non_null(strstr(err.text, "/wiretest.Wire/Raw"));
	assert_int_equal(call_raw(channel, "\x0a\x02\xff\xfe", 4, &err), E_INTERNAL);
	assert_non_null(strstr(err.text, "wiretest.Text.text is not valid UTF-8"));
	assert_int_equal(call_raw(channel, "\x0a\x02h\0", 4, &err), E_INTERNAL);
	assert_non_null(strstr(err.text, "NUL"));
}

static void request_that_is_not_utf8_is_not_sent(UNUSED void **state)
{
	CLEANUP(rpc_channel_closep) struct rpc_channel *channel = peer_channel();
	CLEANUP(wiretest__wire__echo_freep) Wiretest__Everything *m = NULL;
	Wiretest__Everything request = WIRETEST__EVERYTHING__INIT;
	struct err err = ERR_INIT;

	request.a_string = "caf\xe9";
	assert_int_equal(wiretest__wire__call_echo(channel, NULL, &request, &m, &err), E_INTERNAL);
	assert_non_null(strstr(err.text, "a_string"));
	assert_null(m);
}

static void reply_above_the_limit_is_refused(UNUSED void **state)
{
	const struct rpc_channel_options options = { .address = NULL, .message_bytes = 64 * 1024 };
	struct rpc_channel_options with_address = options;
	CLEANUP(rpc_channel_closep) struct rpc_channel *channel = NULL;
	CLEANUP(wiretest__wire__large_freep) Wiretest__Blob *small = NULL;
	CLEANUP(wiretest__wire__large_freep) Wiretest__Blob *large = NULL;
	CLEANUP(freep) char *address = format("unix://%s", peer_path("s.sock"));
	Wiretest__Number size = WIRETEST__NUMBER__INIT;
	struct err err = ERR_INIT;

	with_address.address = address;
	assert_ok(rpc_channel_open(&with_address, &channel, &err), err);
	size.value = 60 * 1024;
	assert_ok(wiretest__wire__call_large(channel, NULL, &size, &small, &err), err);
	assert_int_equal(small->data.len, 60 * 1024);
	size.value = 70 * 1024;
	assert_int_equal(wiretest__wire__call_large(channel, NULL, &size, &large, &err), E_LIMIT);
	assert_null(large);
}

static void idempotent_method_is_retried_and_another_is_not(UNUSED void **state)
{
	CLEANUP(rpc_channel_closep) struct rpc_channel *channel = peer_channel();
	CLEANUP(wiretest__wire__flaky_freep) Wiretest__Number *third = NULL;
	CLEANUP(wiretest__wire__flaky_once_freep) Wiretest__Number *none = NULL;
	Wiretest__Text name = WIRETEST__TEXT__INIT;
	struct err err = ERR_INIT;

	name.text = "retried";
	assert_ok(wiretest__wire__call_flaky(channel, NULL, &name, &third, &err), err);
	assert_int_equal(third->value, 3);
	name.text = "not retried";
	assert_int_equal(wiretest__wire__call_flaky_once(channel, NULL, &name, &none, &err), E_UNAVAILABLE);
	assert_string_equal(err.text, "try again");
}

struct worker {
	pthread_t thread;
	struct rpc_channel *channel;
	int64_t first;
	bool ok;
};

static void *count_many(void *arg)
{
	struct worker *w = arg;

	w->ok = true;
	for (int64_t i = 0; i < 50 && w->ok; i++) {
		CLEANUP(wiretest__wire__echo_freep) Wiretest__Everything *m = NULL;
		Wiretest__Everything request = WIRETEST__EVERYTHING__INIT;

		request.an_int64 = w->first + i;
		w->ok = wiretest__wire__call_echo(w->channel, NULL, &request, &m, NULL) == OK &&
			m->an_int64 == w->first + i;
	}
	return NULL;
}

static void many_threads_share_one_channel(UNUSED void **state)
{
	CLEANUP(rpc_channel_closep) struct rpc_channel *channel = peer_channel();
	struct worker workers[8];

	for (size_t i = 0; i < ARRAY_LEN(workers); i++) {
		workers[i] = (struct worker){ .channel = channel, .first = (int64_t)i * 1000 };
		assert_int_equal(pthread_create(&workers[i].thread, NULL, count_many, &workers[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(workers); i++) {
		pthread_join(workers[i].thread, NULL);
		assert_true(workers[i].ok);
	}
}

static void connect_finds_the_server(UNUSED void **state)
{
	CLEANUP(rpc_channel_closep) struct rpc_channel *channel = peer_channel();
	struct err err = ERR_INIT;

	assert_ok(rpc_channel_connect(channel, 5000, &err), err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(foreign_server_reads_every_field_type),
		cmocka_unit_test(foreign_reply_has_every_field_type),
		cmocka_unit_test(empty_message_goes_both_ways),
		cmocka_unit_test(bad_reply_is_an_internal_error),
		cmocka_unit_test(request_that_is_not_utf8_is_not_sent),
		cmocka_unit_test(reply_above_the_limit_is_refused),
		cmocka_unit_test(reply_that_unpacks_to_far_more_than_it_was_is_refused),
		cmocka_unit_test(idempotent_method_is_retried_and_another_is_not),
		cmocka_unit_test(many_threads_share_one_channel),
		cmocka_unit_test(connect_finds_the_server),
	};

	if (!peer_available())
		return 0;
	return cmocka_run_group_tests(tests, peer_start, peer_stop);
}

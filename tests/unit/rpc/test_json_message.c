#include "service/rpc/json_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "grpc/channelz/v1/channelz.pb-c.h"
#include "proto/runtime/buf.h"

/* Last: its macro `fail` is a function of ours. */
#include <cmocka.h>

enum { ARENA_BYTES = 64 * 1024 };

static struct arena arena;

static int setup(void **state)
{
	(void)state;
	arena_init(&arena, ARENA_BYTES);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static int read_socket(const char *json, Grpc__Channelz__V1__Socket **ret_socket, struct err *err)
{
	static Grpc__Channelz__V1__GetSocketResponse response;
	int r;

	grpc__channelz__v1__get_socket_response__init(&response);
	r = json_message_read(json, &response.base, &arena, err);
	*ret_socket = response.socket;
	return r;
}

static void every_kind_of_value_is_read(void **state)
{
	Grpc__Channelz__V1__Socket *s;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(
		read_socket("{\"socket\":{\"ref\":{\"socketId\":\"9223372036854775807\",\"name\":\"caf\\u00e9\"},"
			    "\"data\":{\"streamsStarted\":-3,\"localFlowControlWindow\":\"65535\","
			    "\"lastMessageSentTimestamp\":\"2026-01-02T03:04:05.000000006Z\","
			    "\"option\":[{\"name\":\"A\",\"value\":\"1\"},{\"name\":\"B\"}],\"streamsFailed\":null},"
			    "\"remote\":{\"tcpipAddress\":{\"port\":-1,\"ip_address\":\"fwAAAQ==\"}},"
			    "\"security\":{\"tls\":{\"standard_name\":\"\",\"localCertificate\":\"\"}},"
			    "\"notKnown\":[{}]}}",
			    &s, &err),
		OK);
	assert_true(s->ref->socket_id == INT64_MAX);
	assert_string_equal(s->ref->name, "caf\xc3\xa9");
	assert_int_equal(s->data->streams_started, -3);
	assert_int_equal(s->data->streams_failed, 0);
	assert_int_equal(s->data->local_flow_control_window->value, 65535);
	assert_null(s->data->remote_flow_control_window);
	assert_int_equal(s->data->last_message_sent_timestamp->seconds, 1767323045);
	assert_int_equal(s->data->last_message_sent_timestamp->nanos, 6);
	assert_int_equal(s->data->n_option, 2);
	assert_string_equal(s->data->option[0]->value, "1");
	assert_string_equal(s->data->option[1]->name, "B");
	assert_int_equal(s->remote->address_case, GRPC__CHANNELZ__V1__ADDRESS__ADDRESS_TCPIP_ADDRESS);
	assert_int_equal(s->remote->tcpip_address->port, -1);
	assert_int_equal(s->remote->tcpip_address->ip_address.len, 4);
	assert_memory_equal(s->remote->tcpip_address->ip_address.data, "\x7f\0\0\1", 4);
	assert_int_equal(s->security->tls->cipher_suite_case,
			 GRPC__CHANNELZ__V1__SECURITY__TLS__CIPHER_SUITE_STANDARD_NAME);
	assert_int_equal(s->security->tls->local_certificate.len, 0);
	assert_null(s->local);
}

static void enums_and_booleans_are_read(void **state)
{
	Grpc__Channelz__V1__GetTopChannelsResponse m = GRPC__CHANNELZ__V1__GET_TOP_CHANNELS_RESPONSE__INIT;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(
		json_message_read("{\"channel\":[{\"data\":{\"state\":{\"state\":\"READY\"}}},{}],\"end\":true}",
				  &m.base, &arena, &err),
		OK);
	assert_int_equal(m.n_channel, 2);
	assert_int_equal(m.channel[0]->data->state->state,
			 GRPC__CHANNELZ__V1__CHANNEL_CONNECTIVITY_STATE__STATE__READY);
	assert_null(m.channel[1]->data);
	assert_true(m.end);
}

/* Each a value of the member `socket`, and what the error names. */
static void what_does_not_fit_is_an_error(void **state)
{
	static const struct {
		const char *socket, *named;
	} rows[] = {
		{ "[]", "'socket'" },
		{ "\"x\"", "'socket'" },
		{ "{\"ref\":7}", "'ref'" },
		{ "{\"ref\":{\"socketId\":\"\"}}", "'socket_id'" },
		{ "{\"ref\":{\"socketId\":\" 1\"}}", "'socket_id'" },
		{ "{\"ref\":{\"socketId\":\"1x\"}}", "'socket_id'" },
		{ "{\"ref\":{\"socketId\":\"9223372036854775808\"}}", "'socket_id'" },
		{ "{\"ref\":{\"socketId\":1.5}}", "'socket_id'" },
		{ "{\"ref\":{\"socketId\":true}}", "'socket_id'" },
		{ "{\"ref\":{\"socketId\":{}}}", "'socket_id'" },
		{ "{\"ref\":{\"name\":5}}", "'name'" },
		{ "{\"remote\":{\"tcpipAddress\":{\"port\":2147483648}}}", "'port'" },
		{ "{\"remote\":{\"tcpipAddress\":{\"ipAddress\":\"?\"}}}", "'ip_address'" },
		{ "{\"remote\":{\"tcpipAddress\":{\"ipAddress\":4}}}", "'ip_address'" },
		{ "{\"remote\":{\"tcpipAddress\":{},\"udsAddress\":{}}}", "'uds_address'" },
		{ "{\"data\":{\"lastMessageSentTimestamp\":\"yesterday\"}}", "'last_message_sent_timestamp'" },
		{ "{\"data\":{\"lastMessageSentTimestamp\":0}}", "'last_message_sent_timestamp'" },
		{ "{\"data\":{\"localFlowControlWindow\":{\"value\":1}}}", "'local_flow_control_window'" },
		{ "{\"data\":{\"option\":{}}}", "'option'" },
		{ "{\"data\":{\"option\":[{},1]}}", "'option'" },
		{ "{\"data\":{\"option\":[null]}}", "'option'" },
		{ "{\"data\":{\"option\":[{\"additional\":{\"value\":\"a\",\"typeUrl\":{}}}]}}", "'type_url'" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(freep) char *json = format("{\"socket\":%s}", rows[i].socket);
		Grpc__Channelz__V1__Socket *s;
		struct err err = ERR_INIT;

		assert_non_null(json);
		if (read_socket(json, &s, &err) != E_BAD_CONTENT || !strstr(err.text, rows[i].named))
			fail_msg("%s: %s", rows[i].socket, err.text);
	}
}

static void names_of_no_value_are_errors(void **state)
{
	static const char *const states[] = { "\"BUSY\"", "3", "null,\"state\":1", "[\"IDLE\"]" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		Grpc__Channelz__V1__ChannelConnectivityState m = GRPC__CHANNELZ__V1__CHANNEL_CONNECTIVITY_STATE__INIT;
		CLEANUP(freep) char *json = format("{\"state\":%s}", states[i]);
		struct err err = ERR_INIT;

		assert_int_equal(json_message_read(json, &m.base, &arena, &err), E_BAD_CONTENT);
	}
}

static void what_is_no_document_is_an_error(void **state)
{
	static const char *const texts[] = { "",
					     "{",
					     "[]",
					     "1",
					     "{} {}",
					     "{\"socket\":{},\"socket\":{}}",
					     "{\"socket\":{\"remoteName\":\"\\u0000\"}}",
					     "{\"socket\":\"\xff\"}" };
	CLEANUP(buf_free) struct buf deep = BUF_INIT(4096);
	Grpc__Channelz__V1__Socket *s;
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_int_equal(read_socket(texts[i], &s, &err), E_BAD_CONTENT);
	for (int i = 0; i < 200; i++)
		buf_puts(&deep, "{\"socket\":");
	buf_puts(&deep, "1");
	for (int i = 0; i < 200; i++)
		buf_puts(&deep, "}");
	assert_int_equal(read_socket(buf_text(&deep), &s, &err), E_BAD_CONTENT);
}

static void memory_is_bounded_by_the_arena(void **state)
{
	CLEANUP(buf_free) struct buf json = BUF_INIT(1024 * 1024);
	Grpc__Channelz__V1__Socket *s;
	struct err err = ERR_INIT;

	(void)state;
	buf_puts(&json, "{\"socket\":{\"data\":{\"option\":[{}");
	for (int i = 0; i < 20000; i++)
		buf_puts(&json, ",{}");
	buf_puts(&json, "]}}}");
	assert_int_equal(read_socket(buf_text(&json), &s, &err), E_NO_MEMORY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_kind_of_value_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(enums_and_booleans_are_read, setup, teardown),
		cmocka_unit_test_setup_teardown(what_does_not_fit_is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(names_of_no_value_are_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_document_is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(memory_is_bounded_by_the_arena, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The words for what gRPC reports, without a connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#undef fail /* ours is another one */

#include "client/lib/internal.h"

static int explain(bool is_unix, bool is_tls, const char *text, struct err *err)
{
	struct rpc_channel c = { .address = (char *)(is_unix ? "unix:///nowhere/at/all" : "tcp://host.test:1"),
				 .is_unix = is_unix,
				 .is_tls = is_tls };

	fail(err, E_UNAVAILABLE, "%s", text);
	return client_explain_connection(&c, err);
}

static void assert_explained(bool is_unix, bool is_tls, const char *text, const char *wanted)
{
	struct err err = ERR_INIT;

	assert_int_equal(explain(is_unix, is_tls, text, &err), E_NO_DAEMON);
	if (!strstr(err.text, wanted)) {
		print_error("\"%s\" lacks \"%s\"\n", err.text, wanted);
		_fail(__FILE__, __LINE__);
	}
}

#define FAILED "failed to connect to all addresses; last error: UNKNOWN: "

static void causes_are_worded_for_people(UNUSED void **state)
{
	assert_explained(false, false, "DNS resolution failed for host.test:1: Domain name not found",
			 "Cannot connect to imaged at tcp://host.test:1: the name of the host cannot be resolved.");
	assert_explained(false, false, FAILED "ipv4:192.0.2.1:1: No route to host", "no route to the host");
	assert_explained(false, true, FAILED "ipv4:192.0.2.1:1: Network is unreachable", "network is unreachable");
	assert_explained(false, false, FAILED "ipv4:192.0.2.1:1: Timeout occurred: connect() timed out",
			 "did not answer in time");
	assert_explained(true, false, FAILED "unix:/nowhere/at/all: Permission denied", "sudo");
	assert_explained(false, true, "empty address list: ", "TLS file is not valid");
	assert_explained(false, false, "Received http2 header with status: 502", "not a gRPC server");
}

static void unknown_cause_is_shown_as_it_is(UNUSED void **state)
{
	assert_explained(false, false, FAILED "something new", "tcp://host.test:1: UNKNOWN: something new. Is");
}

static void lost_connection_is_no_missing_daemon(UNUSED void **state)
{
	struct err err = ERR_INIT;

	assert_int_equal(explain(true, false, "Socket closed", &err), E_UNAVAILABLE);
	assert_string_equal(err.text, "the connection to imaged at unix:///nowhere/at/all was lost: Socket closed");
	assert_int_equal(explain(true, false, "the service is shutting down", &err), E_UNAVAILABLE);
	assert_string_equal(err.text, "the service is shutting down");
}

static void silence_is_reported_with_its_length(UNUSED void **state)
{
	struct rpc_channel c = { .address = (char *)"tcp://host.test:1" };
	struct err err = ERR_INIT;

	assert_int_equal(client_explain_silence(&c, 2500, &err), E_NO_DAEMON);
	assert_non_null(strstr(err.text, "no answer within 2.5 seconds"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(causes_are_worded_for_people),
		cmocka_unit_test(unknown_cause_is_shown_as_it_is),
		cmocka_unit_test(lost_connection_is_no_missing_daemon),
		cmocka_unit_test(silence_is_reported_with_its_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

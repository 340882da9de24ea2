/* Which traceparents and request ids of clients are taken over. */
#include "service/rpc/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define SPAN "b7ad6b7169203331"

static void traceparents_are_read_as_the_standard_says(void **state)
{
	static const struct {
		const char *header;
		bool good;
	} rows[] = {
		{ "00-" TRACE "-" SPAN "-01", true },
		{ "00-" TRACE "-" SPAN "-00", true },
		{ "00-" TRACE "-" SPAN "-ff", true },
		{ "01-" TRACE "-" SPAN "-01", true },
		{ "cc-" TRACE "-" SPAN "-01-what-the-future-will-be-like", true },
		{ "cc-" TRACE "-" SPAN "-01-", true },
		{ "00-" TRACE "-" SPAN "-01-", false },
		{ "00-" TRACE "-" SPAN "-01-more", false },
		{ "cc-" TRACE "-" SPAN "-01.more", false },
		{ "ff-" TRACE "-" SPAN "-01", false },
		{ "0-" TRACE "-" SPAN "-01", false },
		{ "0G-" TRACE "-" SPAN "-01", false },
		{ "00-00000000000000000000000000000000-" SPAN "-01", false },
		{ "00-" TRACE "-0000000000000000-01", false },
		{ "00-0AF7651916CD43DD8448EB211C80319C-" SPAN "-01", false },
		{ "00-" TRACE "-B7AD6B7169203331-01", false },
		{ "00-" TRACE "-" SPAN "-0", false },
		{ "00-" TRACE "-" SPAN "-0g", false },
		{ "00-" TRACE "-" SPAN, false },
		{ "00_" TRACE "-" SPAN "-01", false },
		{ "00-" TRACE "_" SPAN "-01", false },
		{ "00-" TRACE "-" SPAN "_01", false },
		{ " 00-" TRACE "-" SPAN "-01", false },
		{ "00-" TRACE "-" SPAN "-01 ", false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct log_context c = { .request_id = "" };

		if (traceparent_parse(bytes_of(rows[i].header), &c) != rows[i].good)
			fail_msg("%s", rows[i].header);
		assert_string_equal(c.trace_id, rows[i].good ? TRACE : "");
		assert_string_equal(c.span_id, rows[i].good ? SPAN : "");
	}
}

static void request_ids_can_stand_in_any_log(void **state)
{
	char longest[LOG_REQUEST_ID_MAX + 2] = "";

	(void)state;
	assert_true(request_id_valid(bytes_of("c0ffee-1.2_3:a/b+c=@")));
	assert_false(request_id_valid(bytes_of("")));
	assert_false(request_id_valid(bytes_of("a b")));
	assert_false(request_id_valid(bytes_of("a\"b")));
	assert_false(request_id_valid(bytes_of("a\\b")));
	assert_false(request_id_valid((struct bytes){ (const uint8_t *)"a\0b", 3 }));
	memset(longest, 'x', LOG_REQUEST_ID_MAX);
	assert_true(request_id_valid(bytes_of(longest)));
	longest[LOG_REQUEST_ID_MAX] = 'x';
	assert_false(request_id_valid(bytes_of(longest)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(traceparents_are_read_as_the_standard_says),
		cmocka_unit_test(request_ids_can_stand_in_any_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The headers that tell what a registry still gives, good and hostile. */
#include "service/registry/rate_limit.h"

#include "tests/unit/types/unit.h"

static void limits_are_read(void **state)
{
	struct rate_limit r;

	(void)state;
	assert_true(rate_limit_parse("100;w=21600", "76;w=21600", "192.0.2.1", &r));
	assert_int_equal(r.limit, 100);
	assert_int_equal(r.remaining, 76);
	assert_int_equal(r.window_s, 21600);
	assert_string_equal(r.source, "192.0.2.1");
	assert_true(rate_limit_parse(NULL, " 5 ", NULL, &r));
	assert_int_equal(r.limit, 0);
	assert_int_equal(r.remaining, 5);
	assert_int_equal(r.window_s, 0);
	assert_string_equal(r.source, "");
	assert_true(rate_limit_parse("100, 100;w=60", "0;q=\"x\" ; W=60, 7", "", &r));
	assert_int_equal(r.limit, 100);
	assert_int_equal(r.remaining, 0);
	assert_int_equal(r.window_s, 60);
}

static void what_is_malformed_is_not_known(void **state)
{
	static const char *const bad[] = {
		"",	"x",	"-1", "1x", "1;w=", "1;w=x", "99999999999999999999", "1;w=9999999999999999999",
		";w=1", "0x10", "1 2"
	};
	struct rate_limit r = { .remaining = 42 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_false(rate_limit_parse("100;w=21600", bad[i], "a", &r));
		assert_true(rate_limit_parse(bad[i], "1", "a", &r));
		assert_int_equal(r.limit, 0);
		r.remaining = 42;
	}
	assert_false(rate_limit_parse("100", NULL, NULL, &r));
	assert_int_equal(r.remaining, 42);
}

static void sources_are_bounded_and_printable(void **state)
{
	char long_source[1000];
	struct rate_limit r;

	(void)state;
	memset(long_source, 'a', sizeof long_source - 1);
	long_source[sizeof long_source - 1] = 0;
	assert_true(rate_limit_parse(NULL, "1", long_source, &r));
	assert_int_equal(strlen(r.source), RATE_SOURCE_MAX - 1);
	assert_true(rate_limit_parse(NULL, "1", "a\033[31mb\xc3\xa9", &r));
	assert_string_equal(r.source, "a[31mb");
}

static void a_tenth_is_low(void **state)
{
	(void)state;
	assert_true(rate_limit_is_low(&(struct rate_limit){ true, 100, 10, 0, "" }));
	assert_false(rate_limit_is_low(&(struct rate_limit){ true, 100, 11, 0, "" }));
	assert_true(rate_limit_is_low(&(struct rate_limit){ true, 0, 0, 0, "" }));
	assert_false(rate_limit_is_low(&(struct rate_limit){ true, 0, 1, 0, "" }));
	assert_false(rate_limit_is_low(&(struct rate_limit){ false, 100, 0, 0, "" }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_are_read),
		cmocka_unit_test(what_is_malformed_is_not_known),
		cmocka_unit_test(sources_are_bounded_and_printable),
		cmocka_unit_test(a_tenth_is_low),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Instructions out of a text. */
#include "tests/unit/build/unit.h"

#include "service/build/lines.h"

struct row {
	const char *text, *lines; /* "|" behind each */
};

static void lines_are_joined_and_comments_dropped(void **state)
{
	static const struct row rows[] = {
		{ "", "" },
		{ "\n\n \t\n", "" },
		{ "# only\n  # comments", "" },
		{ "ENV a=b", "ENV a=b|" },
		{ "  ENV a=b\nCMD x\n", "ENV a=b|CMD x|" },
		{ "ENV a=b\r\nCMD x\r\n", "ENV a=b|CMD x|" },
		{ "\xef\xbb\xbf"
		  "CMD x",
		  "CMD x|" },
		{ "CMD a \\\n  b", "CMD a   b|" },
		{ "CMD a \\  \t\n b", "CMD a  b|" },
		{ "CMD a \\\n# no\n\n   # no\nb", "CMD a b|" },
		{ "CMD a # b", "CMD a # b|" },
		{ "CMD a \\", "CMD a |" },
		{ "CMD a \\\n", "CMD a |" },
		{ "CMD a \\\n# end", "CMD a |" },
		{ "CMD a\\\\\nUSER b", "CMD a\\\\|USER b|" },
		{ "\\\nCMD a", "CMD a|" },
		{ "CMD a \\\n b \\\n c\nUSER d", "CMD a  b  c|USER d|" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(buf_free) struct buf line = BUF_INIT(4096), all = BUF_INIT(4096);
		struct lines l = lines_of(rows[i].text, '\\');

		while (lines_next(&l, &line) > 0)
			buf_printf(&all, "%s|", buf_text(&line));
		check_row(rows[i].lines, buf_text(&all), rows[i].text);
	}
}

static void escape_is_the_callers(void **state)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(4096);
	struct lines l = lines_of("CMD a`\nb\\\nUSER x", '`');

	(void)state;
	assert_int_equal(lines_next(&l, &line), 1);
	assert_string_equal(buf_text(&line), "CMD ab\\");
	assert_int_equal(lines_next(&l, &line), 1);
	assert_string_equal(buf_text(&line), "USER x");
	assert_int_equal(lines_next(&l, &line), 0);
}

static void line_numbers_are_those_of_the_text(void **state)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(4096);
	struct lines l = lines_of("# a\n\nCMD a \\\n b\n\nUSER c", '\\');

	(void)state;
	lines_next(&l, &line);
	assert_int_equal(l.first, 3);
	assert_int_equal(l.number, 4);
	lines_next(&l, &line);
	assert_int_equal(l.first, 6);
}

static void line_that_is_too_long_is_seen(void **state)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(4);
	struct lines l = lines_of("CMD long", '\\');

	(void)state;
	lines_next(&l, &line);
	assert_false(buf_ok(&line));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_joined_and_comments_dropped),
		cmocka_unit_test(escape_is_the_callers),
		cmocka_unit_test(line_numbers_are_those_of_the_text),
		cmocka_unit_test(line_that_is_too_long_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

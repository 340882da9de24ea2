/* The daemon's log, as lines that programs read. */
#include "service/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* The line, as one read of a pipe gives it. */
static void say(char line[2 * LOG_LINE_MAX], bool json, const struct log_field *fields, size_t n_fields,
		const char *message)
{
	int ends[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	dup2(ends[1], STDERR_FILENO);
	log_init(LOG_INFO, json);
	log_event(LOG_INFO, fields, n_fields, "%s", message);
	dup2(saved, STDERR_FILENO);
	n = read(ends[0], line, 2 * LOG_LINE_MAX - 1);
	close(ends[0]);
	close(ends[1]);
	close(saved);
	assert_true(n > 0);
	line[n] = 0;
}

/* What the line says, after the time and the level. */
static void assert_said(bool json, const char *message, const char *expected)
{
	char line[2 * LOG_LINE_MAX], *text;

	say(line, json, NULL, 0, message);
	text = strstr(line, json ? "\"msg\":" : "info");
	assert_non_null(text);
	assert_string_equal(text + 6, expected);
}

static void json_is_utf8_whatever_is_said(void **state)
{
	(void)state;
	assert_said(true, "plain", "\"plain\"}\n");
	assert_said(true, "a \"b\" \\ \n\x7f", "\"a \\\"b\\\" \\\\ \\u000a\\u007f\"}\n");
	assert_said(true, "h\xc3\xa9 \xe2\x82\xac", "\"h\xc3\xa9 \xe2\x82\xac\"}\n");
	assert_said(true, "\xff|\xc3|\xed\xa0\x80|\xc0\xaf",
		    "\"\xef\xbf\xbd|\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd\"}\n");
}

static void text_is_one_line_without_controls(void **state)
{
	(void)state;
	assert_said(false, "a \"b\"\n\x1b[1m\xff\xc3\xa9", "a \"b\"\\x0a\\x1b[1m?\xc3\xa9\n");
}

static void context_and_fields_follow_the_message(void **state)
{
	const struct log_context context = { .request_id = "r-1", .span_id = "00f067aa0ba902b7" };
	const struct log_field fields[] = { { .name = "peer", .text = "a\"\n" }, { .name = "count", .number = -7 } };
	char line[2 * LOG_LINE_MAX];

	(void)state;
	assert_null(log_enter(&context));
	say(line, true, fields, 2, "m");
	assert_non_null(strstr(line, "\"msg\":\"m\",\"request_id\":\"r-1\",\"span_id\":\"00f067aa0ba902b7\","
				     "\"peer\":\"a\\\"\\u000a\",\"count\":-7}\n"));
	say(line, false, fields, 2, "m");
	assert_non_null(strstr(line, " info  m request_id=r-1\n"));
	assert_ptr_equal(log_enter(NULL), &context);
	say(line, false, fields, 2, "m");
	assert_non_null(strstr(line, " info  m\n"));
}

static void lines_are_bounded_and_whole(void **state)
{
	enum { FIELDS = 20 };
	struct log_field fields[FIELDS];
	char line[2 * LOG_LINE_MAX], message[LOG_LINE_MAX];

	(void)state;
	memset(message, '"', sizeof message - 1);
	message[sizeof message - 1] = 0;
	for (size_t i = 0; i < FIELDS; i++)
		fields[i] = (struct log_field){ .name = "field", .text = message };
	say(line, true, fields, FIELDS, message);
	assert_in_range(strlen(line), LOG_LINE_MAX / 2, LOG_LINE_MAX);
	assert_string_equal(line + strlen(line) - 5, "\\\"\"}\n");
	assert_non_null(strstr(line, "\",\"field\":\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_is_utf8_whatever_is_said),
		cmocka_unit_test(context_and_fields_follow_the_message),
		cmocka_unit_test(lines_are_bounded_and_whole),
		cmocka_unit_test(text_is_one_line_without_controls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

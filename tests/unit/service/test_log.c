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

/* What the line says, after the time and the level. */
static void assert_said(bool json, const char *message, const char *expected)
{
	int ends[2], saved = dup(STDERR_FILENO);
	char line[4096] = "", *text;
	ssize_t n;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	dup2(ends[1], STDERR_FILENO);
	log_init(LOG_INFO, json);
	log_line(LOG_INFO, "%s", message);
	dup2(saved, STDERR_FILENO);
	n = read(ends[0], line, sizeof line - 1);
	close(ends[0]);
	close(ends[1]);
	close(saved);
	assert_true(n > 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_is_utf8_whatever_is_said),
		cmocka_unit_test(text_is_one_line_without_controls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

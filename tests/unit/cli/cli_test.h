/* What the tests of imagectl share. */
#ifndef TESTS_UNIT_CLI_CLI_TEST_H
#define TESTS_UNIT_CLI_CLI_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#undef fail /* ours means something else */

#include "client/cli/template/template.h"

/* A file of the recordings of docker that lie beside the project; NULL when they
 * are not there, which is said once. Free it. */
static inline char *golden(const char *name)
{
	static bool said;
	char path[4096];
	FILE *f;
	char *text = NULL;
	size_t len = 0;

	snprintf(path, sizeof path, "%s/../shared/golden/records/%s", IMAGED_SOURCE_DIR, name);
	f = fopen(path, "re");
	if (!f) {
		if (!said)
			print_message("skipped in part: no recordings of docker beside the project\n");
		said = true;
		return NULL;
	}
	assert_true(getdelim(&text, &len, 0, f) >= 0);
	fclose(f);
	return text;
}

/* The lines of a section "# title…", up to the next empty line. */
static inline char *section(char *text, const char *title)
{
	char *start = strstr(text, title), *end;

	assert_non_null(start);
	start = strchr(start, '\n') + 1;
	end = strstr(start, "\n\n#");
	if (end)
		end[1] = 0;
	return start;
}

#endif

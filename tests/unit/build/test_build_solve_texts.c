/* What the solver reads and says: emulators of the kernel, parts of keys. */
#include "tests/unit/build/unit.h"

#include "proto/runtime/buf.h"
#include "service/build/solve/explain.h"
#include "service/build/solve/foreign.h"

enum { ARM64 = 183, S390X = 22, NOTE_MAX = 4096 };

#define ARM64_MAGIC "magic 7f454c460201010000000000000000000200b700\n"
#define S390X_MAGIC "magic 7f454c4602020100000000000000000000020016\n"

static void an_emulator_serves_its_machine(void **state)
{
	static const char entry[] = "enabled\ninterpreter /usr/bin/x\nflags: POCF\noffset 0\n" ARM64_MAGIC;

	(void)state;
	assert_true(foreign_entry_serves(entry, ARM64));
	assert_false(foreign_entry_serves(entry, S390X));
	assert_true(foreign_entry_serves("enabled\ninterpreter /x\nflags: F\noffset 0\n" S390X_MAGIC, S390X));
}

static void one_that_no_root_finds_serves_nobody(void **state)
{
	static const char *const entries[] = {
		"disabled\ninterpreter /x\nflags: F\noffset 0\n" ARM64_MAGIC,
		"enabled\ninterpreter /x\nflags: OC\noffset 0\n" ARM64_MAGIC,
		"enabled\ninterpreter /F\nflags: \noffset 0\n" ARM64_MAGIC,
		"enabled\ninterpreter /x\nflags: F\nextension .F\n",
		"enabled\ninterpreter /x\nflags: F\noffset 0\nmagic 7f454c46\n",
		"enabled\nflags: F\nmagic zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\n",
		"enabled\n",
		"",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(entries); i++)
		assert_false(foreign_entry_serves(entries[i], ARM64));
}

static void assert_changes(const char *before, const char *now, const char *const *wanted)
{
	char *changes[CHANGES_TOLD_MAX];
	size_t n = explain_compare(before, now, changes), i = 0;

	for (; wanted[i] && i < n; i++)
		assert_string_equal(wanted[i], changes[i]);
	assert_int_equal(i, n);
	assert_null(wanted[i]);
	while (n)
		free(changes[--n]);
}

static void parts_are_compared_by_their_names(void **state)
{
	CLEANUP(buf_free) struct buf before = BUF_INIT(NOTE_MAX), now = BUF_INIT(NOTE_MAX);

	(void)state;
	explain_part(&before, "1", 1, "variable %s", "A");
	explain_part(&before, "2", 1, "variable %s", "B");
	explain_part(&before, "x", 1, "file a b\nc");
	explain_part(&now, "x", 1, "file a b\nc");
	explain_part(&now, "3", 1, "variable %s", "B");
	explain_part(&now, "", 0, "the user");
	assert_changes(buf_text(&before), buf_text(&before), (const char *const[]){ NULL });
	assert_changes(buf_text(&before), buf_text(&now),
		       (const char *const[]){ "variable B changed", "the user is new", "variable A is gone", NULL });
}

static void values_are_not_in_a_note(void **state)
{
	CLEANUP(buf_free) struct buf note = BUF_INIT(NOTE_MAX);

	(void)state;
	explain_part(&note, "hunter2", 7, "variable PASSWORD");
	assert_null(strstr(buf_text(&note), "hunter2"));
}

/* As the cache may give back anything. */
static void notes_of_no_use(void **state)
{
	(void)state;
	assert_changes("", "", (const char *const[]){ NULL });
	assert_changes("short", "\n\n", (const char *const[]){ NULL });
	assert_changes("0123456789abcdef name", "0123456789abcdef", (const char *const[]){ "name is gone", NULL });
}

static void no_more_changes_than_are_told(void **state)
{
	CLEANUP(buf_free) struct buf now = BUF_INIT(64 * 1024);
	char *changes[CHANGES_TOLD_MAX];
	size_t n;

	(void)state;
	for (int i = 0; i < 2 * CHANGES_TOLD_MAX; i++)
		explain_part(&now, "", 0, "file %d", i);
	n = explain_compare("", buf_text(&now), changes);
	assert_int_equal(CHANGES_TOLD_MAX, n);
	while (n)
		free(changes[--n]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_emulator_serves_its_machine),
		cmocka_unit_test(one_that_no_root_finds_serves_nobody),
		cmocka_unit_test(parts_are_compared_by_their_names),
		cmocka_unit_test(values_are_not_in_a_note),
		cmocka_unit_test(notes_of_no_use),
		cmocka_unit_test(no_more_changes_than_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

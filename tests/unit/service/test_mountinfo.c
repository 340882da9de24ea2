/* Lines of mountinfo: any name in them, and what is none. */
#include "service/mount/mountinfo.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail /* ours is another one */

static void assert_bytes(struct bytes b, const char *text)
{
	assert_int_equal(b.len, strlen(text));
	assert_memory_equal(b.data, text, b.len);
}

static void fields_of_a_line(void **state UNUSED)
{
	char line[] = "47 27 0:41 / /mnt/a ro,nosuid shared:1 master:2 - overlay imaged:0123 ro,lowerdir+=/\n";
	struct mountinfo_line l;

	assert_true(mountinfo_parse(line, &l));
	assert_int_equal(l.mount_id, 47);
	assert_bytes(l.point, "/mnt/a");
	assert_bytes(l.type, "overlay");
	assert_bytes(l.source, "imaged:0123");
}

static void a_line_without_tags_and_options(void **state UNUSED)
{
	char line[] = "1 1 0:1 / / rw - rootfs rootfs";
	struct mountinfo_line l;

	assert_true(mountinfo_parse(line, &l));
	assert_bytes(l.point, "/");
	assert_bytes(l.source, "rootfs");
}

static void escapes_are_undone(void **state UNUSED)
{
	char line[] = "1 1 0:1 / /a\\040b\\011c\\012d\\134040\\ rw - x im\\040aged:1 rw";
	struct mountinfo_line l;

	assert_true(mountinfo_parse(line, &l));
	assert_bytes(l.point, "/a b\tc\nd\\040\\");
	assert_bytes(l.source, "im aged:1");
}

static void what_is_no_line(void **state UNUSED)
{
	static const char *const bad[] = { "",
					   "\n",
					   "x",
					   "1",
					   "1 2 3 4",
					   "1 2 3 4 5",
					   "1 2 3 4 5 6 overlay x y",
					   "1 2 3 4 5 6 -",
					   "1 2 3 4 5 6 - overlay",
					   "x 2 3 4 5 6 - a b c",
					   "99999999999999999999999 2 3 4 5 6 - a b c" };
	struct mountinfo_line l;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		CLEANUP(freep) char *line = strdup(bad[i]);

		assert_false(mountinfo_parse(line, &l));
	}
}

static int count(void *arg, const struct mountinfo_line *line)
{
	int *n = arg;

	assert_true(line->point.len > 0 && line->point.data[0] == '/');
	return ++*n == 1 ? OK : E_CANCELLED;
}

static void a_visitor_may_end_it(void **state UNUSED)
{
	struct err err = ERR_INIT;
	int n = 0, r = mountinfo_read(count, &n, &err);

	assert_true(n == 1 ? r == OK : n == 2 && r == E_CANCELLED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_of_a_line),	cmocka_unit_test(a_line_without_tags_and_options),
		cmocka_unit_test(escapes_are_undone),	cmocka_unit_test(what_is_no_line),
		cmocka_unit_test(a_visitor_may_end_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

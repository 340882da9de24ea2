/* The file of save -o and of config.json: what lasts, in which order, and what stays
 * when the disk fails. */
#include "cli_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "client/cli/json_file.h"
#include "client/cli/output_file.h"

/* ---- what is called, in order: 'f' a file is synced, 'd' a directory, 'r' renamed --- */

static char calls[16];
static char failing; /* this one does, with EIO */

static int called(char what)
{
	size_t n = strlen(calls);

	assert_true(n + 1 < sizeof calls);
	calls[n] = what;
	calls[n + 1] = 0;
	if (what != failing)
		return 0;
	errno = EIO;
	return -1;
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_fsync(int fd);

int __wrap_rename(const char *from, const char *to)
{
	return called('r') < 0 ? -1 : __real_rename(from, to);
}

int __wrap_fsync(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return called(S_ISDIR(st.st_mode) ? 'd' : 'f');
}

/* ---- a directory of its own ------------------------------------------------ */

static char directory[] = "/tmp/imaged-output-XXXXXX";
static char target[64];

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void expect_content(const char *text)
{
	char got[64] = "";
	FILE *f = fopen(target, "re");

	assert_non_null(f);
	assert_true(fread(got, 1, sizeof got - 1, f) > 0);
	fclose(f);
	assert_string_equal(got, text);
}

static void expect_nothing_beside(void)
{
	DIR *d = opendir(directory);
	int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	assert_int_equal(n, 3); /* with . and .. */
}

static int begin(UNUSED void **state)
{
	snprintf(directory, sizeof directory, "/tmp/imaged-output-XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	snprintf(target, sizeof target, "%s/x.tar", directory);
	write_file(target, "old");
	calls[0] = failing = 0;
	return 0;
}

static int end(UNUSED void **state)
{
	return unlink(target) < 0 || rmdir(directory) < 0 ? -1 : 0;
}

static int replace_target(struct err *err)
{
	CLEANUP(output_file_drop) struct output_file f = OUTPUT_FILE_INIT;

	assert_int_equal(output_file_open(target, &f, err), OK);
	assert_int_equal(output_file_write(&f, "new", 3, err), OK);
	return output_file_finish(&f, err);
}

/* ---- tests ----------------------------------------------------------------- */

static void file_is_synced_before_it_has_its_name_and_the_directory_after(UNUSED void **state)
{
	struct err err = ERR_INIT;

	assert_int_equal(replace_target(&err), OK);
	assert_string_equal(calls, "frd");
	expect_content("new");
	expect_nothing_beside();
}

static void file_that_cannot_be_synced_leaves_the_old_one(UNUSED void **state)
{
	struct err err = ERR_INIT;
	char text[128];

	failing = 'f';
	assert_int_equal(replace_target(&err), E_IO);
	snprintf(text, sizeof text, "sync %s: input/output error", target);
	assert_string_equal(err.text, text);
	assert_string_equal(calls, "f");
	expect_content("old");
	expect_nothing_beside();
}

static void rename_that_fails_leaves_the_old_file(UNUSED void **state)
{
	struct err err = ERR_INIT;

	failing = 'r';
	assert_int_equal(replace_target(&err), E_IO);
	expect_content("old");
	expect_nothing_beside();
}

static void directory_that_cannot_be_synced_is_told(UNUSED void **state)
{
	struct err err = ERR_INIT;
	char text[128];

	failing = 'd';
	assert_int_equal(replace_target(&err), E_IO);
	snprintf(text, sizeof text, "sync %s: input/output error", directory);
	assert_string_equal(err.text, text);
	expect_content("new");
}

static void configuration_is_as_durable(UNUSED void **state)
{
	json_t *json = json_pack("{s:i}", "a", 1);
	struct err err = ERR_INIT;

	failing = 'f';
	assert_int_equal(json_file_write(target, json, &err), E_IO);
	expect_content("old");
	failing = 0;
	calls[0] = 0;
	assert_int_equal(json_file_write(target, json, &err), OK);
	assert_string_equal(calls, "frd");
	expect_content("{\n\t\"a\": 1\n}");
	expect_nothing_beside();
	json_decref(json);
}

static void name_as_long_as_may_be_can_be_written(UNUSED void **state)
{
	CLEANUP(output_file_drop) struct output_file f = OUTPUT_FILE_INIT;
	struct err err = ERR_INIT;
	char path[512];

	snprintf(path, sizeof path, "%s/%0255d", directory, 0);
	assert_int_equal(output_file_check(path, &err), OK);
	assert_int_equal(output_file_open(path, &f, &err), OK);
	assert_int_equal(output_file_finish(&f, &err), OK);
	assert_int_equal(unlink(path), 0);
}

/* docker's words. */
static void paths_that_cannot_become_a_file_are_told_at_once(UNUSED void **state)
{
	static const struct {
		const char *path, *text;
	} rows[] = {
		{ "new.tar/", "invalid output path: stat new.tar: no such file or directory" },
		{ "new.tar//", "invalid output path: stat new.tar: no such file or directory" },
		{ "x.tar/", "invalid output path: stat x.tar: not a directory" },
		{ "x.tar/y", "invalid output path: stat x.tar: not a directory" },
		{ "nodir/y", "invalid output path: stat nodir: no such file or directory" },
		{ "../", "cannot write to a directory" },
		{ ".", "cannot write to a directory" },
		{ "/", "cannot write to a directory" },
	};
	struct err err = ERR_INIT;
	int here = open(".", O_PATH | O_CLOEXEC);

	assert_int_equal(chdir(directory), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_not_equal(output_file_check(rows[i].path, &err), OK);
		assert_string_equal(err.text, rows[i].text);
	}
	assert_int_equal(output_file_check("x.tar", &err), OK);
	assert_int_equal(output_file_check("new.tar", &err), OK);
	assert_int_equal(output_file_check("/new.tar", &err), OK);
	assert_int_equal(fchdir(here), 0);
	close(here);
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIRECTORY(file_is_synced_before_it_has_its_name_and_the_directory_after),
		IN_DIRECTORY(file_that_cannot_be_synced_leaves_the_old_one),
		IN_DIRECTORY(rename_that_fails_leaves_the_old_file),
		IN_DIRECTORY(directory_that_cannot_be_synced_is_told),
		IN_DIRECTORY(configuration_is_as_durable),
		IN_DIRECTORY(name_as_long_as_may_be_can_be_written),
		IN_DIRECTORY(paths_that_cannot_become_a_file_are_told_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

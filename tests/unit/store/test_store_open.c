#include "tests/unit/store/fixture.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "proto/runtime/clock.h"

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void assert_open_fails(const char *root, int code, const char *words)
{
	struct err err = ERR_INIT;
	struct store *s = NULL;

	assert_code(store_open(root, &s, &err), code);
	assert_null(s);
	if (!strstr(err.text, words)) {
		print_error("'%s' does not say '%s'\n", err.text, words);
		_fail(__FILE__, __LINE__);
	}
}

static void an_empty_or_missing_directory_becomes_a_store(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	struct store *s;
	struct stat st;
	char root[ROOT_MAX + 64];

	snprintf(root, sizeof root, "%s/deeper/and/deeper", f->root);
	assert_ok(store_open(root, &s, &err), &err);
	assert_string_equal(store_root(s), root);
	assert_false(store_read_only(s));
	store_close(s);
	assert_int_equal(stat(root, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	for (const char *const *d = (const char *const[]){ "content", "ingest", "quarantine", "meta", "meta/shared",
							   "meta/local", NULL };
	     *d; d++) {
		char path[ROOT_MAX + 128];

		snprintf(path, sizeof path, "%s/%s", root, *d);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0700);
	}
	assert_ok(store_open(root, &s, &err), &err);
	store_close(s);
}

static void a_second_store_on_one_root_names_the_process_that_has_it(void **state)
{
	struct fixture *f = *state;
	char words[64];

	snprintf(words, sizeof words, "is in use by process %ld", (long)getpid());
	assert_open_fails(f->root, E_BUSY, words);
	assert_open_fails(f->root, E_BUSY, f->root);
}

static void the_lock_goes_with_a_killed_process(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	int status, ready[2];
	pid_t pid;
	char c;

	store_close(f->store);
	f->store = NULL;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		struct store *s;

		if (store_open(f->root, &s, &err) != OK || write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_open_fails(f->root, E_BUSY, "in use");
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_ok(store_open(f->root, &f->store, &err), &err);
	close(ready[0]);
	close(ready[1]);
}

static void a_foreign_directory_is_refused_and_left_alone(void **state)
{
	struct fixture *f = *state;
	char root[ROOT_MAX + 64], path[ROOT_MAX + 128];
	struct stat st;

	snprintf(root, sizeof root, "%s/home", f->root);
	snprintf(path, sizeof path, "%s/letter.txt", root);
	assert_int_equal(mkdir(root, 0755), 0);
	write_file(path, "dear");
	assert_open_fails(root, E_INVALID, "letter.txt");
	snprintf(path, sizeof path, "%s/lock", root);
	assert_int_not_equal(stat(path, &st), 0);
}

static void a_newer_format_is_refused(void **state)
{
	struct fixture *f = *state;

	store_close(f->store);
	f->store = NULL;
	write_file(fixture_path(f, "FORMAT"), "imaged store 2\n");
	assert_open_fails(f->root, E_FORMAT, "store format 2");
	write_file(fixture_path(f, "FORMAT"), "something else\n");
	assert_open_fails(f->root, E_FORMAT, "FORMAT");
	write_file(fixture_path(f, "FORMAT"), "imaged store 1\n");
	fixture_reopen(f);
}

static void a_start_that_was_cut_short_is_taken_up(void **state)
{
	struct fixture *f = *state;
	char root[ROOT_MAX + 64], path[ROOT_MAX + 128];
	struct err err = ERR_INIT;
	struct store *s;

	snprintf(root, sizeof root, "%s/half", f->root);
	assert_int_equal(mkdir(root, 0700), 0);
	snprintf(path, sizeof path, "%s/lock", root);
	write_file(path, "1\n");
	snprintf(path, sizeof path, "%s/FORMAT.new", root);
	write_file(path, "imag");
	snprintf(path, sizeof path, "%s/lost+found", root);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_ok(store_open(root, &s, &err), &err);
	store_close(s);
}

static void a_root_that_is_a_file_is_an_error_that_names_it(void **state)
{
	struct fixture *f = *state;

	assert_open_fails(fixture_path(f, "FORMAT"), E_IO, "/FORMAT");
}

/* ---- read-only ------------------------------------------------------------ */

static void assert_read_only(struct fixture *f)
{
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	struct removal removal = { .now_ns = 1 };
	struct gc_result gc;
	struct lease_id lease;
	struct err err = ERR_INIT;
	struct ingest *ingest = NULL;
	struct image image;
	struct reference ref;
	struct digest d = digest_of_text("new");
	struct made made;
	int64_t freed;
	bool by_id;

	arena_init(&arena, 1 << 20);
	assert_true(store_read_only(f->store));
	assert_ok(image_resolve(f->store, "busybox", &arena, &image, &by_id, &err), &err);
	assert_true(blob_is_there(f->store, "one"));
	assert_clean(f->store);
	assert_code(ingest_bytes(f->store, &d, bytes_of("new"), &ingest, &err), E_READ_ONLY);
	assert_code(ingest_open(f->store, &d, 3, &ingest, &err), E_READ_ONLY);
	assert_code(ingest_sweep(f->store, INT64_MAX, &freed, &err), E_READ_ONLY);
	assert_code(make_image_code(f->store, &(struct image_spec){ .name = "b" }, &made, &err), E_READ_ONLY);
	assert_ok(reference_parse("other", &ref, &err), &err);
	assert_code(image_tag(f->store, &image, &ref, 1, &err), E_READ_ONLY);
	assert_code(image_remove(f->store, "busybox", &removal, &err), E_READ_ONLY);
	assert_code(image_delete(f->store, &image, &removal, &err), E_READ_ONLY);
	assert_code(gc_run(f->store, 1, NULL, &gc, &err), E_READ_ONLY);
	assert_code(gc_blobs(f->store, &d, 1, &freed, &err), E_READ_ONLY);
	assert_code(lease_create(f->store, "x", &d, 1, &lease, &err), E_READ_ONLY);
	assert_code(content_quarantine(f->store, &d, &err), E_READ_ONLY);
	image_touch(f->store, &image.manifest, 1);
	assert_non_null(strstr(err.text, f->root));
	removal.dry_run = true;
	assert_ok(image_remove(f->store, "busybox", &removal, &err), &err);
	assert_true(removal.freed > 0);
}

static void a_read_only_file_system_is_read(void **state)
{
	struct fixture *f = *state;

	make_image(f->store, &(struct image_spec){ .name = "a", .layers = { "one" }, .refs = { "busybox" } });
	store_close(f->store);
	f->store = NULL;
	if (mount(f->root, f->root, NULL, MS_BIND, NULL)) {
		fixture_reopen(f);
		skip();
	}
	f->mounted = true;
	assert_int_equal(mount(NULL, f->root, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), 0);
	fixture_reopen(f);
	assert_read_only(f);
	store_close(f->store);
	f->store = NULL;
	assert_int_equal(umount2(f->root, MNT_DETACH), 0);
	f->mounted = false;
	fixture_reopen(f);
	assert_clean(f->store);
}

static void a_writer_keeps_readers_of_a_read_only_view_out(void **state)
{
	struct fixture *f = *state;
	char view[ROOT_MAX] = "/tmp/imaged-test-XXXXXX";

	assert_non_null(mkdtemp(view));
	if (mount(f->root, view, NULL, MS_BIND, NULL)) {
		rmdir(view);
		skip();
	}
	assert_int_equal(mount(NULL, view, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), 0);
	assert_open_fails(view, E_BUSY, "in use");
	assert_int_equal(umount2(view, MNT_DETACH), 0);
	rmdir(view);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_empty_or_missing_directory_becomes_a_store),
		TEST(a_second_store_on_one_root_names_the_process_that_has_it),
		TEST(the_lock_goes_with_a_killed_process),
		TEST(a_foreign_directory_is_refused_and_left_alone),
		TEST(a_newer_format_is_refused),
		TEST(a_start_that_was_cut_short_is_taken_up),
		TEST(a_root_that_is_a_file_is_an_error_that_names_it),
		TEST(a_read_only_file_system_is_read),
		TEST(a_writer_keeps_readers_of_a_read_only_view_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

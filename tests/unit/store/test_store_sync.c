/*
 * What the kernel says about writes that failed: once to each open file description,
 * and never again. After that its pages are clean, and what was believed to be on the
 * disk is not.
 */
#include "tests/unit/store/fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "store/content/ingest_state.h"

/* ---- a disk that loses the pages of one file ------------------------------ */

enum { PENDING_MAX = 2 };

/* One of what a description has yet to be told. */
static struct pending {
	int fd; /* 0: none */
	int number;
} pending[PENDING_MAX];

static bool syncfs_fails; /* tells somebody else's error, once to a descriptor */
static int syncs, whole_syncs, told_fd, tells;
static ino_t synced[100]; /* what fsync() was called for, by `syncs` */

/* -1 once for each description that is to be told. */
static int tell(int fd)
{
	for (size_t i = 0; i < PENDING_MAX; i++)
		if (pending[i].fd == fd) {
			pending[i].fd = 0;
			errno = pending[i].number;
			return -1;
		}
	return 0;
}

int fsync(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0)
		synced[(size_t)syncs % ARRAY_LEN(synced)] = st.st_ino;
	syncs++;
	return tell(fd);
}

int fdatasync(UNUSED int fd)
{
	return tell(fd);
}

int sync_file_range(int fd, UNUSED off_t at, UNUSED off_t len, unsigned flags)
{
	return flags & (SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WAIT_AFTER) ? tell(fd) : 0;
}

int syncfs(int fd)
{
	whole_syncs++;
	if (syncfs_fails && fd != told_fd) {
		told_fd = fd;
		tells++;
		errno = EIO;
		return -1;
	}
	return 0;
}

static int setup(void **state)
{
	memset(pending, 0, sizeof pending);
	syncfs_fails = false;
	told_fd = -1;
	tells = 0;
	return fixture_setup(state);
}

static void lose(const struct ingest *i, int number)
{
	pending[0] = (struct pending){ i->data_fd, number };
}

/* ---- helpers -------------------------------------------------------------- */

enum { BIG = INGEST_CHECKPOINT_BYTES + 1000, MANY = 60 };

static int64_t ingest_bytes_left(struct fixture *f)
{
	int64_t bytes;

	assert_int_equal(ingest_usage(f->store, &bytes, NULL), OK);
	return bytes;
}

static struct ingest *finished(struct fixture *f, const char *text)
{
	struct digest d = digest_of_text(text);
	struct err err = ERR_INIT;
	struct ingest *i;

	assert_ok(ingest_open(f->store, &d, (int64_t)strlen(text), &i, &err), &err);
	assert_ok(ingest_write(i, text, strlen(text), &err), &err);
	assert_ok(ingest_finish(i, &err), &err);
	return i;
}

static void finish_many(struct fixture *f, struct ingest *out[MANY])
{
	for (int k = 0; k < MANY; k++) {
		char text[32];

		snprintf(text, sizeof text, "blob %d", k);
		out[k] = finished(f, text);
	}
}

static void unref_many(struct ingest *list[MANY])
{
	for (int k = 0; k < MANY; k++)
		ingest_unref(list[k]);
}

static bool is_there(struct fixture *f, const struct ingest *i)
{
	return content_exists(f->store, ingest_digest(i), NULL);
}

/* ---- tests ---------------------------------------------------------------- */

static void a_checkpoint_that_failed_is_not_asked_again(void **state)
{
	struct fixture *f = *state;
	CLEANUP(freep) uint8_t *data = calloc(1, BIG);
	struct err err = ERR_INIT;
	struct digest d;
	struct ingest *i;

	assert_non_null(data);
	digest_of(DIGEST_SHA256, (struct bytes){ data, BIG }, &d);
	assert_ok(ingest_open(f->store, &d, BIG, &i, &err), &err);
	lose(i, EIO);
	assert_code(ingest_write(i, data, BIG, &err), E_IO);
	/* Whoever goes on with it all the same gets nowhere. */
	assert_code(ingest_write(i, data, 1, &err), E_IO);
	assert_code(ingest_restart(i, &err), E_IO);
	assert_code(ingest_finish(i, &err), E_IO);
	ingest_unref(i);
	assert_int_equal(ingest_bytes_left(f), 0);
	assert_ok(ingest_open(f->store, &d, BIG, &i, &err), &err);
	assert_int_equal(ingest_offset(i), 0);
	ingest_unref(i);
}

static void the_last_checkpoint_counts_too(void **state)
{
	struct fixture *f = *state;
	struct digest d = digest_of_text("hello");
	struct err err = ERR_INIT;
	struct ingest *i;

	assert_ok(ingest_open(f->store, &d, 5, &i, &err), &err);
	assert_ok(ingest_write(i, "hell", 4, &err), &err);
	lose(i, EIO);
	ingest_unref(i);
	assert_int_equal(ingest_bytes_left(f), 0);
}

static void a_commit_is_not_tried_again_after_a_sync_that_failed(void **state)
{
	static const struct {
		int number, code;
	} cases[] = { { EIO, E_IO }, { ENOSPC, E_DISK_FULL }, { EDQUOT, E_DISK_FULL } };
	struct fixture *f = *state;

	for (size_t k = 0; k < ARRAY_LEN(cases); k++) {
		struct ingest *i = finished(f, "hello");
		struct err err = ERR_INIT;

		lose(i, cases[k].number);
		assert_code(content_commit(f->store, &i, 1, &err), cases[k].code);
		assert_code(content_commit(f->store, &i, 1, &err), E_IO);
		assert_false(is_there(f, i));
		ingest_unref(i);
		assert_int_equal(ingest_bytes_left(f), 0);
	}
}

/* What else was in the commit is none the worse for it. */
static void only_what_was_lost_goes_when_the_disk_was_full(void **state)
{
	struct fixture *f = *state;
	struct ingest *two[] = { finished(f, "one"), finished(f, "two") };
	struct err err = ERR_INIT;

	lose(two[0], ENOSPC);
	assert_code(content_commit(f->store, two, 2, &err), E_DISK_FULL);
	assert_ok(content_commit(f->store, &two[1], 1, &err), &err);
	assert_true(is_there(f, two[1]));
	assert_false(is_there(f, two[0]));
	ingest_unref(two[0]);
	ingest_unref(two[1]);
	assert_int_equal(ingest_bytes_left(f), 0);
}

static void many_blobs_take_one_syncfs(void **state)
{
	struct fixture *f = *state;
	struct ingest *many[MANY];
	struct err err = ERR_INIT;

	finish_many(f, many);
	syncs = whole_syncs = 0;
	assert_ok(content_commit(f->store, many, MANY, &err), &err);
	assert_in_range(whole_syncs, 1, 2); /* bytes; names */
	assert_in_range(syncs, 0, 2);	    /* the directory of the shards, when it was made */
	unref_many(many);
}

/* Of two commits at a time one hears the error of syncfs: the other asks its files. */
static void an_error_that_syncfs_told_another_commit_is_found(void **state)
{
	struct fixture *f = *state;
	struct ingest *many[MANY];
	struct err err = ERR_INIT;

	finish_many(f, many);
	lose(many[MANY / 2], EIO);
	assert_code(content_commit(f->store, many, MANY, &err), E_IO);
	assert_false(is_there(f, many[MANY / 2]));
	unref_many(many);
	assert_int_equal(ingest_bytes_left(f), 0);
}

static void an_error_of_another_file_ends_no_commit(void **state)
{
	struct fixture *f = *state;
	struct ingest *many[MANY];
	struct err err = ERR_INIT;

	finish_many(f, many);
	syncfs_fails = true;
	assert_ok(content_commit(f->store, many, MANY, &err), &err);
	/* It was told once, through a descriptor that only this commit had. */
	assert_int_equal(tells, 1);
	assert_int_equal(told_fd, many[0]->data_fd);
	unref_many(many);
}

/* ---- directories ---------------------------------------------------------- */

static void open_anew(const char *root)
{
	struct err err = ERR_INIT;
	struct store *s;

	memset(synced, 0, sizeof synced);
	syncs = 0;
	assert_ok(store_open(root, &s, &err), &err);
	store_close(s);
}

static void assert_synced(const char *root, const char *below)
{
	char path[ROOT_MAX + 64];
	struct stat st;
	size_t i = 0;

	snprintf(path, sizeof path, "%s/%s", root, below);
	assert_int_equal(stat(path, &st), 0);
	while (i < ARRAY_LEN(synced) && synced[i] != st.st_ino)
		i++;
	assert_true(i < ARRAY_LEN(synced));
}

/* As a start that was killed leaves them: there, and not known to be durable. */
static void directories_that_a_start_finds_are_synced(void **state)
{
	static const char *const parents[] = { "a", "a/b", "a/b/root" };
	const struct fixture *f = *state;
	char root[ROOT_MAX + 16], path[ROOT_MAX + 16];

	for (size_t i = 0; i < ARRAY_LEN(parents); i++) {
		snprintf(path, sizeof path, "%s/%s", f->root, parents[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	snprintf(root, sizeof root, "%s/a/b/root", f->root);
	open_anew(root);
	for (size_t i = 0; i + 1 < ARRAY_LEN(parents); i++)
		assert_synced(f->root, parents[i]);
	assert_synced(f->root, ".");
	open_anew(root);
	assert_synced(root, ".");
	assert_synced(root, "content");
	assert_synced(root, "meta");
}

static void directories_that_a_start_makes_are_synced(void **state)
{
	const struct fixture *f = *state;
	char root[ROOT_MAX + 16];

	snprintf(root, sizeof root, "%s/a/b/root", f->root);
	open_anew(root);
	assert_synced(f->root, "a");
	assert_synced(f->root, ".");
	assert_synced(root, "content");
}

/* The first of two who need it makes it, and the other one must not rely on that. */
static void directory_of_an_algorithm_that_is_there_is_synced(void **state)
{
	struct fixture *f = *state;
	char path[ROOT_MAX + 32];
	struct err err = ERR_INIT;
	struct ingest *i = NULL;
	struct digest d;

	snprintf(path, sizeof path, "%s/content/sha512", f->root);
	assert_int_equal(mkdir(path, 0700), 0);
	digest_of(DIGEST_SHA512, bytes_of("x"), &d);
	assert_ok(ingest_bytes(f->store, &d, bytes_of("x"), &i, &err), &err);
	memset(synced, 0, sizeof synced);
	syncs = 0;
	assert_ok(content_commit(f->store, &i, 1, &err), &err);
	assert_synced(f->root, "content");
	ingest_unref(i);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_checkpoint_that_failed_is_not_asked_again),
		TEST(the_last_checkpoint_counts_too),
		TEST(a_commit_is_not_tried_again_after_a_sync_that_failed),
		TEST(only_what_was_lost_goes_when_the_disk_was_full),
		TEST(many_blobs_take_one_syncfs),
		TEST(an_error_that_syncfs_told_another_commit_is_found),
		TEST(an_error_of_another_file_ends_no_commit),
		TEST(directories_that_a_start_finds_are_synced),
		TEST(directories_that_a_start_makes_are_synced),
		TEST(directory_of_an_algorithm_that_is_there_is_synced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

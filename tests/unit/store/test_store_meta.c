#include "tests/unit/store/fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "store/meta/keys.h"
#include "store/meta/scan.h"

/* ---- failing system calls ------------------------------------------------- */

/* LMDB is a shared library: these come before the ones of libc. */
static enum { WORKS, META_PAGE_FAILS, PAGES_FAIL, SYNC_FAILS, ALLOCATE_FAILS } disk;

enum { META_PAGES_END = 2 * 4096 };

/* The name that LMDB calls; with 64-bit offsets ours would be pwrite64. */
ssize_t pwrite_of_lmdb(int fd, const void *data, size_t len, off_t at) __asm__("pwrite");

ssize_t pwrite_of_lmdb(int fd, const void *data, size_t len, off_t at)
{
	bool is_meta = at < META_PAGES_END;

	if ((disk == META_PAGE_FAILS && is_meta) || (disk == PAGES_FAIL && !is_meta)) {
		errno = is_meta ? EIO : ENOSPC;
		return -1;
	}
	return syscall(SYS_pwrite64, fd, data, len, at);
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
	if (disk == PAGES_FAIL) {
		errno = ENOSPC;
		return -1;
	}
	return syscall(SYS_writev, fd, v, n);
}

int fdatasync(int fd)
{
	if (disk == SYNC_FAILS) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

int fallocate(int fd, int mode, off_t at, off_t len)
{
	if (disk == ALLOCATE_FAILS) {
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_fallocate, fd, mode, at, len);
}

/* ---- the space under test ------------------------------------------------- */

/* Keys "g:X…" name what their third byte says; "g:" alone names nothing. */
static size_t third_byte(struct bytes key)
{
	return key.len > 2 ? 3 : 0;
}

enum { GROUPS, WHOLE };

static const struct meta_counter counters[] = {
	[GROUPS] = { { (const uint8_t *)"g:", 2 }, third_byte },
	[WHOLE] = { { (const uint8_t *)"w:", 2 }, NULL },
};

struct space {
	char dir[64];
	int fd;
	struct meta *m;
};

static void open_space(struct space *s, bool read_only)
{
	struct meta_lmdb_options options = {
		.read_only = read_only, .reserve = 64 * 1024, .counters = counters, .n_counters = ARRAY_LEN(counters)
	};
	struct err err = ERR_INIT;

	assert_ok(meta_open_lmdb(s->fd, "space", &options, &s->m, &err), &err);
}

static int setup(void **state)
{
	struct space *s = calloc(1, sizeof *s);

	assert_non_null(s);
	disk = WORKS;
	snprintf(s->dir, sizeof s->dir, "/tmp/imaged-test-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	s->fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	open_space(s, false);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct space *s = *state;

	disk = WORKS;
	meta_close(s->m);
	close(s->fd);
	remove_tree(s->dir);
	free(s);
	return 0;
}

static int put(struct meta *m, const char *key, const char *value, uint64_t *ret_revision)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();

	meta_txn_put(t, bytes_of(key), bytes_of(value));
	return meta_txn_commit(m, t, ret_revision, NULL);
}

static char *get(struct meta *m, const char *key)
{
	struct buf out = BUF_INIT(100);

	if (meta_get(m, bytes_of(key), &out, NULL, NULL) != OK) {
		buf_free(&out);
		return NULL;
	}
	return buf_take(&out);
}

static void assert_value(struct meta *m, const char *key, const char *value)
{
	char *found = get(m, key);

	if (value) {
		assert_non_null(found);
		assert_string_equal(found, value);
	} else {
		assert_null(found);
	}
	free(found);
}

static bool add_key(void *arg, struct bytes key, UNUSED struct bytes value, UNUSED uint64_t revision)
{
	buf_append(arg, key.data, key.len);
	buf_putc(arg, ' ');
	return true;
}

static void assert_range(struct meta *m, const char *from, const char *to, const char *keys)
{
	struct buf found = BUF_INIT(1000);
	struct err err = ERR_INIT;

	assert_ok(meta_range(m, bytes_of(from), bytes_of(to), add_key, &found, &err), &err);
	assert_string_equal(buf_text(&found), keys);
	buf_free(&found);
}

/* ---- tests ---------------------------------------------------------------- */

static void values_come_back_with_their_revision_after_a_restart(void **state)
{
	struct space *s = *state;
	struct buf out = BUF_INIT(100);
	uint64_t first, second, found;

	assert_int_equal(put(s->m, "a", "1", &first), OK);
	assert_int_equal(put(s->m, "b", "2", &second), OK);
	assert_int_equal(second, first + 1);
	meta_close(s->m);
	open_space(s, false);
	assert_int_equal(meta_revision(s->m), second);
	assert_int_equal(meta_get(s->m, bytes_of("a"), &out, &found, NULL), OK);
	assert_string_equal(buf_text(&out), "1");
	assert_int_equal(found, first);
	assert_code(meta_get(s->m, bytes_of("c"), &out, &found, NULL), E_NOT_FOUND);
	buf_free(&out);
}

static void a_comparison_that_does_not_hold_changes_nothing(void **state)
{
	struct space *s = *state;
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	uint64_t revision, after;

	assert_int_equal(put(s->m, "a", "1", &revision), OK);
	meta_txn_compare(t, bytes_of("a"), revision + 1);
	meta_txn_put(t, bytes_of("b"), bytes_of("2"));
	assert_code(meta_txn_commit(s->m, t, NULL, NULL), E_ABORTED);
	meta_txn_compare(t, bytes_of("a"), 0);
	meta_txn_put(t, bytes_of("b"), bytes_of("2"));
	assert_code(meta_txn_commit(s->m, t, NULL, NULL), E_ABORTED);
	assert_value(s->m, "b", NULL);
	assert_int_equal(meta_revision(s->m), revision);
	meta_txn_compare(t, bytes_of("a"), revision);
	meta_txn_compare(t, bytes_of("b"), 0);
	meta_txn_put(t, bytes_of("b"), bytes_of("2"));
	meta_txn_delete(t, bytes_of("a"));
	meta_txn_delete(t, bytes_of("never there"));
	assert_code(meta_txn_commit(s->m, t, &after, NULL), OK);
	assert_int_equal(after, revision + 1);
	assert_value(s->m, "a", NULL);
	assert_value(s->m, "b", "2");
}

static void numbered_keys_of_one_transaction_are_consecutive(void **state)
{
	struct space *s = *state;
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	uint64_t before, revision;
	uint8_t key[9] = { 'v' };

	assert_int_equal(put(s->m, "a", "1", &before), OK);
	for (int i = 0; i < 3; i++)
		meta_txn_put_at_revision(t, bytes_of("v"), bytes_of("event"));
	assert_int_equal(meta_txn_commit(s->m, t, &revision, NULL), OK);
	assert_int_equal(revision, before + 3);
	for (uint64_t n = before + 1; n <= revision; n++) {
		key[8] = (uint8_t)n;
		assert_int_equal(meta_get(s->m, (struct bytes){ key, sizeof key }, NULL, NULL, NULL), OK);
	}
}

static void ranges_are_ordered_and_hide_the_back_ends_own_keys(void **state)
{
	struct space *s = *state;
	struct buf found = BUF_INIT(100);
	struct err err = ERR_INIT;

	put(s->m, "b", "", NULL);
	put(s->m, "a", "", NULL);
	put(s->m, "ab", "", NULL);
	put(s->m, "\xff", "", NULL);
	put(s->m, "\xff\xff", "", NULL);
	assert_range(s->m, "", "", "a ab b \xff \xff\xff ");
	assert_range(s->m, "a", "b", "a ab ");
	assert_range(s->m, "aa", "b\001", "ab b ");
	assert_range(s->m, "c", "d", "");
	assert_ok(meta_prefix(s->m, bytes_of("\xff"), add_key, &found, &err), &err);
	assert_string_equal(buf_text(&found), "\xff \xff\xff ");
	buf_free(&found);
}

static void a_scan_reads_page_after_page_while_keys_change(void **state)
{
	struct space *s = *state;
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct key prefix = { 1, "k" };
	const struct key *k;
	int n = 0;

	for (int i = 0; i < 200; i++) {
		char key[8];

		snprintf(key, sizeof key, "k%03d", i);
		put(s->m, key, "", NULL);
	}
	meta_scan_prefix(scan, s->m, &prefix);
	while (meta_scan_next(scan, &k, NULL, NULL) == OK && k) {
		CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();

		meta_txn_delete(t, key_bytes(k));
		assert_int_equal(meta_txn_commit(s->m, t, NULL, NULL), OK);
		n++;
	}
	assert_int_equal(n, 200);
	assert_range(s->m, "", "", "");
}

static void a_value_larger_than_the_buffer_is_a_limit(void **state)
{
	struct space *s = *state;
	struct buf small = BUF_INIT(3);

	put(s->m, "a", "1234", NULL);
	assert_code(meta_get(s->m, bytes_of("a"), &small, NULL, NULL), E_LIMIT);
	buf_free(&small);
}

static void check_recovery(struct space *s, int how, int code)
{
	put(s->m, "before", "1", NULL);
	disk = how;
	assert_code(put(s->m, "lost", "2", NULL), code);
	disk = WORKS;
	assert_value(s->m, "before", "1");
	assert_value(s->m, "lost", NULL);
	assert_code(put(s->m, "after", "3", NULL), OK);
	assert_value(s->m, "after", "3");
	meta_close(s->m);
	open_space(s, false);
	assert_value(s->m, "before", "1");
	assert_value(s->m, "lost", NULL);
	assert_value(s->m, "after", "3");
}

static void works_on_after_pages_could_not_be_written(void **state)
{
	check_recovery(*state, PAGES_FAIL, E_DISK_FULL);
}

static void works_on_after_a_failed_sync(void **state)
{
	check_recovery(*state, SYNC_FAILS, E_IO);
}

static void works_on_after_the_meta_page_could_not_be_written(void **state)
{
	check_recovery(*state, META_PAGE_FAILS, E_IO);
}

static void a_disk_without_room_is_told_before_anything_is_written(void **state)
{
	struct space *s = *state;
	struct err err = ERR_INIT;
	int r = OK;

	disk = ALLOCATE_FAILS;
	for (int i = 0; r == OK && i < 1000; i++) {
		CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
		char key[16], value[3000];

		snprintf(key, sizeof key, "key %d", i);
		memset(value, 'x', sizeof value);
		meta_txn_put(t, bytes_of(key), (struct bytes){ (uint8_t *)value, sizeof value });
		r = meta_txn_commit(s->m, t, NULL, &err);
	}
	assert_code(r, E_DISK_FULL);
	assert_true(err.needed_bytes > 0);
	{
		CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();

		meta_txn_use_reserve(t);
		meta_txn_delete(t, bytes_of("key 0"));
		assert_ok(meta_txn_commit(s->m, t, NULL, &err), &err);
	}
	disk = WORKS;
	assert_code(put(s->m, "again", "1", NULL), OK);
}

static void a_read_only_space_is_read_and_refuses_commits(void **state)
{
	struct space *s = *state;

	put(s->m, "a", "1", NULL);
	meta_close(s->m);
	open_space(s, true);
	assert_value(s->m, "a", "1");
	assert_code(put(s->m, "b", "2", NULL), E_READ_ONLY);
}

static int drop(struct meta *m, const char *key)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();

	meta_txn_delete(t, bytes_of(key));
	return meta_txn_commit(m, t, NULL, NULL);
}

static void assert_counts(struct meta *m, int64_t groups, int64_t whole)
{
	struct err err = ERR_INIT;
	int64_t n = -1;

	assert_ok(meta_count(m, GROUPS, &n, &err), &err);
	assert_int_equal(n, groups);
	assert_ok(meta_count(m, WHOLE, &n, &err), &err);
	assert_int_equal(n, whole);
}

static void things_are_counted_while_keys_come_and_go(void **state)
{
	static const char *const keys[] = { "g:a1", "g:a1", "g:a2", "g:b", "g:", "w:", "w:1", "w:1", "x", "w" };
	struct space *s = *state;

	assert_counts(s->m, 0, 0);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		assert_code(put(s->m, keys[i], "v", NULL), OK);
	assert_counts(s->m, 2, 2);
	assert_code(drop(s->m, "g:a1"), OK);
	assert_code(drop(s->m, "g:a1"), OK);
	assert_counts(s->m, 2, 2);
	assert_code(drop(s->m, "g:a2"), OK);
	assert_code(drop(s->m, "w:1"), OK);
	assert_code(drop(s->m, "g:"), OK);
	assert_code(drop(s->m, "no such key"), OK);
	assert_counts(s->m, 1, 1);
	meta_close(s->m);
	open_space(s, true);
	assert_counts(s->m, 1, 1);
}

static void a_transaction_counts_whole_or_not_at_all(void **state)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	struct space *s = *state;

	for (int tries = 0; tries < 2; tries++) {
		meta_txn_compare(t, bytes_of("x"), tries ? 0 : 7);
		meta_txn_put(t, bytes_of("w:1"), bytes_of("1"));
		meta_txn_delete(t, bytes_of("w:1"));
		meta_txn_put(t, bytes_of("w:2"), bytes_of("1"));
		meta_txn_put_at_revision(t, bytes_of("e"), bytes_of("1"));
		meta_txn_put(t, bytes_of("g:a1"), bytes_of("1"));
		meta_txn_put(t, bytes_of("g:a2"), bytes_of("1"));
		assert_code(meta_txn_commit(s->m, t, NULL, NULL), tries ? OK : E_ABORTED);
		assert_counts(s->m, tries, tries);
	}
	disk = PAGES_FAIL;
	assert_true(put(s->m, "w:3", "1", NULL) < 0);
	disk = WORKS;
	assert_counts(s->m, 1, 1);
	assert_code(put(s->m, "w:3", "1", NULL), OK);
	assert_counts(s->m, 1, 2);
}

/* An older program, say. */
static void counts_are_right_after_a_program_that_keeps_none(void **state)
{
	struct meta_lmdb_options none = { .reserve = 64 * 1024 };
	struct space *s = *state;
	struct err err = ERR_INIT;

	put(s->m, "w:1", "1", NULL);
	for (int writable = 0; writable < 2; writable++) {
		meta_close(s->m);
		assert_ok(meta_open_lmdb(s->fd, "space", &none, &s->m, &err), &err);
		put(s->m, writable ? "w:2" : "w:3", "1", NULL);
		put(s->m, writable ? "g:1" : "g:2", "1", NULL);
		meta_close(s->m);
		open_space(s, !writable);
		assert_counts(s->m, 1 + writable, 2 + writable);
	}
	put(s->m, "w:4", "1", NULL);
	assert_counts(s->m, 2, 4);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(values_come_back_with_their_revision_after_a_restart),
		TEST(a_comparison_that_does_not_hold_changes_nothing),
		TEST(numbered_keys_of_one_transaction_are_consecutive),
		TEST(ranges_are_ordered_and_hide_the_back_ends_own_keys),
		TEST(a_scan_reads_page_after_page_while_keys_change),
		TEST(a_value_larger_than_the_buffer_is_a_limit),
		TEST(works_on_after_pages_could_not_be_written),
		TEST(works_on_after_a_failed_sync),
		TEST(works_on_after_the_meta_page_could_not_be_written),
		TEST(a_disk_without_room_is_told_before_anything_is_written),
		TEST(a_read_only_space_is_read_and_refuses_commits),
		TEST(things_are_counted_while_keys_come_and_go),
		TEST(a_transaction_counts_whole_or_not_at_all),
		TEST(counts_are_right_after_a_program_that_keeps_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

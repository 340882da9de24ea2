#include "tests/unit/store/fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "proto/runtime/clock.h"
#include "store/content/ingest_state.h"
#include "store/content/path.h"

/* ---- a disk without room for one directory -------------------------------- */

static const char *no_room_for;

int mkdirat(int fd, const char *path, mode_t mode)
{
	if (no_room_for && !strcmp(path, no_room_for)) {
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_mkdirat, fd, path, mode);
}

enum { BIG = 80 * 1024 * 1024 };

/* ---- helpers -------------------------------------------------------------- */

static void set_boot(struct store *s, const char *boot_id)
{
	memset(s->boot_id, 0, sizeof s->boot_id);
	snprintf(s->boot_id, sizeof s->boot_id, "%s", boot_id);
}

static uint8_t *pattern(size_t len)
{
	uint8_t *data = malloc(len);
	uint32_t x = 12345;

	assert_non_null(data);
	for (size_t i = 0; i < len; i++) {
		x = x * 1664525 + 1013904223;
		data[i] = (uint8_t)(x >> 24);
	}
	return data;
}

static struct ingest *open_ingest(struct fixture *f, const struct digest *d, int64_t size)
{
	struct err err = ERR_INIT;
	struct ingest *i;

	assert_ok(ingest_open(f->store, d, size, &i, &err), &err);
	return i;
}

static void write_ok(struct ingest *i, const void *data, size_t len)
{
	struct err err = ERR_INIT;

	assert_ok(ingest_write(i, data, len, &err), &err);
}

static void commit_ok(struct fixture *f, struct ingest *i)
{
	struct err err = ERR_INIT;

	assert_ok(ingest_finish(i, &err), &err);
	assert_ok(content_commit(f->store, &i, 1, &err), &err);
}

static bool file_exists(struct fixture *f, const char *relative)
{
	struct stat st;

	return !stat(fixture_path(f, relative), &st);
}

static int64_t ingest_bytes_left(struct fixture *f)
{
	int64_t bytes;

	assert_int_equal(ingest_usage(f->store, &bytes, NULL), OK);
	return bytes;
}

static void assert_verified(struct fixture *f, const struct digest *d, size_t size)
{
	struct err err = ERR_INIT;
	int64_t found;

	assert_true(content_exists(f->store, d, &found));
	assert_int_equal(found, size);
	assert_ok(content_verify(f->store, d, NULL, NULL, NULL, &err), &err);
}

/* ---- one at a time -------------------------------------------------------- */

static void bytes_are_committed_and_read_back(void **state)
{
	struct fixture *f = *state;
	struct digest d = digest_of_text("hello");
	struct ingest *i = open_ingest(f, &d, 5);
	struct buf out = BUF_INIT(10);
	struct err err = ERR_INIT;

	assert_int_equal(ingest_offset(i), 0);
	write_ok(i, "he", 2);
	write_ok(i, "llo", 3);
	assert_false(content_exists(f->store, &d, NULL));
	commit_ok(f, i);
	assert_ok(content_read(f->store, &d, &out, &err), &err);
	assert_string_equal(buf_text(&out), "hello");
	ingest_unref(i);
	assert_int_equal(ingest_bytes_left(f), 0);
	assert_code(ingest_open(f->store, &d, 5, &i, &err), E_EXISTS);
	buf_free(&out);
}

static void a_digest_is_taken_in_once_at_a_time(void **state)
{
	struct fixture *f = *state;
	struct digest d = digest_of_text("hello");
	struct ingest *i = open_ingest(f, &d, 5), *other;
	struct err err = ERR_INIT;

	assert_code(ingest_open(f->store, &d, 5, &other, &err), E_BUSY);
	write_ok(i, "hello", 5);
	/* A small blob in one call does not wait for it. */
	assert_ok(ingest_bytes(f->store, &d, bytes_of("hello"), &other, &err), &err);
	assert_ok(content_commit(f->store, &other, 1, &err), &err);
	ingest_unref(other);
	assert_verified(f, &d, 5);
	commit_ok(f, i); /* there is one: fine */
	ingest_unref(i);
	assert_verified(f, &d, 5);
	assert_int_equal(ingest_bytes_left(f), 0);
	assert_ok(ingest_bytes(f->store, &d, bytes_of("hello"), &other, &err), &err);
	assert_null(other);
}

static void more_or_fewer_or_other_bytes_are_refused(void **state)
{
	struct fixture *f = *state;
	struct digest d = digest_of_text("hello");
	struct ingest *i = open_ingest(f, &d, 5);
	struct err err = ERR_INIT;

	assert_code(ingest_write(i, "hello!", 6, &err), E_LIMIT);
	assert_int_equal(ingest_offset(i), 0);
	write_ok(i, "hell", 4);
	assert_code(ingest_finish(i, &err), E_CORRUPT);
	assert_int_equal(ingest_offset(i), 4);
	write_ok(i, "0", 1);
	assert_code(ingest_finish(i, &err), E_DIGEST_MISMATCH);
	assert_int_equal(ingest_offset(i), 0); /* dropped */
	write_ok(i, "hello", 5);
	commit_ok(f, i);
	ingest_unref(i);
	assert_verified(f, &d, 5);
}

static void an_unknown_size_is_counted(void **state)
{
	struct fixture *f = *state;
	struct digest d = digest_of_text("hello");
	struct ingest *i = open_ingest(f, &d, -1);

	write_ok(i, "hello", 5);
	commit_ok(f, i);
	ingest_unref(i);
	assert_verified(f, &d, 5);
}

static void an_empty_blob_is_a_blob(void **state)
{
	struct fixture *f = *state;
	struct digest d = digest_of_text("");
	struct ingest *i = open_ingest(f, &d, 0);

	commit_ok(f, i);
	ingest_unref(i);
	assert_verified(f, &d, 0);
}

static void sha512_blobs_have_a_place_too(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	struct ingest *i;
	struct digest d;

	digest_of(DIGEST_SHA512, bytes_of("hello"), &d);
	assert_ok(ingest_bytes(f->store, &d, bytes_of("hello"), &i, &err), &err);
	assert_ok(content_commit(f->store, &i, 1, &err), &err);
	ingest_unref(i);
	assert_verified(f, &d, 5);
	assert_true(file_exists(f, "content/sha512"));
}

static void a_reader_sees_the_file_grow_and_stays_through_the_commit(void **state)
{
	struct fixture *f = *state;
	struct digest d = digest_of_text("hello");
	struct ingest *i = open_ingest(f, &d, 5);
	struct err err = ERR_INIT;
	char text[8];
	int fd;

	write_ok(i, "he", 2);
	assert_ok(ingest_reader(i, &fd, &err), &err);
	assert_int_equal(pread(fd, text, sizeof text, 0), 2);
	assert_int_equal(write(fd, "x", 1), -1); /* read-only */
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	write_ok(i, "llo", 3);
	commit_ok(f, i);
	assert_int_equal(pread(fd, text, sizeof text, 0), 5);
	close(fd);
	assert_ok(ingest_reader(i, &fd, &err), &err);
	assert_int_equal(pread(fd, text, sizeof text, 0), 5);
	close(fd);
	ingest_unref(i);
}

/* ---- resume --------------------------------------------------------------- */

static void an_ingest_that_was_closed_goes_on(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = pattern(100000);
	struct ingest *i;
	struct digest d;

	digest_of(DIGEST_SHA256, (struct bytes){ data, 100000 }, &d);
	i = open_ingest(f, &d, 100000);
	ingest_set_etag(i, "\"v1\"");
	write_ok(i, data, 60001);
	ingest_unref(i);
	i = open_ingest(f, &d, 100000);
	assert_int_equal(ingest_offset(i), 60001);
	assert_string_equal(ingest_etag(i), "\"v1\"");
	ingest_unref(i);
	fixture_reopen(f);
	i = open_ingest(f, &d, 100000);
	assert_int_equal(ingest_offset(i), 60001);
	write_ok(i, data + 60001, 100000 - 60001);
	commit_ok(f, i);
	ingest_unref(i);
	assert_verified(f, &d, 100000);
	free(data);
}

/* The writer dies without closing anything. */
static void write_and_die(struct fixture *f, const struct digest *d, const uint8_t *data, size_t len, int64_t size,
			  bool finish)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct store *s;
		struct ingest *i;

		if (store_open(f->root, &s, NULL) != OK || ingest_open(s, d, size, &i, NULL) != OK ||
		    ingest_write(i, data, len, NULL) != OK || (finish && ingest_finish(i, NULL) != OK))
			_exit(1);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void what_a_killed_process_wrote_is_kept(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = pattern(BIG);
	struct ingest *i;
	struct digest d;

	digest_of(DIGEST_SHA256, (struct bytes){ data, BIG }, &d);
	store_close(f->store);
	f->store = NULL;
	write_and_die(f, &d, data, 5 * 1024 * 1024 + 17, BIG, false); /* before the first checkpoint */
	fixture_reopen(f);
	i = open_ingest(f, &d, BIG);
	assert_int_equal(ingest_offset(i), 5 * 1024 * 1024 + 17);
	ingest_unref(i);
	store_close(f->store);
	f->store = NULL;
	write_and_die(f, &d, data + 5 * 1024 * 1024 + 17, 66 * 1024 * 1024, BIG, false); /* past it */
	fixture_reopen(f);
	i = open_ingest(f, &d, BIG);
	assert_int_equal(ingest_offset(i), 71 * 1024 * 1024 + 17);
	write_ok(i, data + ingest_offset(i), BIG - (size_t)ingest_offset(i));
	commit_ok(f, i);
	ingest_unref(i);
	assert_verified(f, &d, BIG);
	free(data);
}

static void a_blob_that_was_finished_and_not_committed_is_all_there(void **state)
{
	struct fixture *f = *state;
	struct digest d = digest_of_text("hello");
	struct ingest *i;

	store_close(f->store);
	f->store = NULL;
	write_and_die(f, &d, (const uint8_t *)"hello", 5, 5, true);
	fixture_reopen(f);
	i = open_ingest(f, &d, 5);
	assert_int_equal(ingest_offset(i), 5);
	commit_ok(f, i);
	ingest_unref(i);
	assert_verified(f, &d, 5);
}

static void after_a_reboot_only_synced_bytes_count_and_are_hashed_again(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = pattern(BIG);
	char name[CONTENT_PATH_MAX];
	struct ingest *i;
	struct digest d;
	int fd;

	digest_of(DIGEST_SHA256, (struct bytes){ data, BIG }, &d);
	store_close(f->store);
	f->store = NULL;
	write_and_die(f, &d, data, 70 * 1024 * 1024, BIG, false);
	fixture_reopen(f);
	set_boot(f->store, "another boot");
	i = open_ingest(f, &d, BIG);
	assert_int_equal(ingest_offset(i), 64 * 1024 * 1024);
	ingest_unref(i);
	/* And if the disk lost some of them, none. */
	set_boot(f->store, "a third boot");
	fd = openat(f->store->ingest_fd, ingest_data_name(&d, 0, name), O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "\0\0\0\0", 4, 4096), 4);
	close(fd);
	i = open_ingest(f, &d, BIG);
	assert_int_equal(ingest_offset(i), 0);
	ingest_unref(i);
	free(data);
}

/* ---- damaged journals ----------------------------------------------------- */

static struct digest half_done(struct fixture *f, uint8_t *data, size_t size)
{
	struct ingest *i;
	struct digest d;

	digest_of(DIGEST_SHA256, (struct bytes){ data, size }, &d);
	i = open_ingest(f, &d, (int64_t)size);
	write_ok(i, data, size / 2);
	ingest_unref(i);
	return d;
}

static int64_t offset_after(struct fixture *f, const struct digest *d, int64_t size)
{
	struct ingest *i = open_ingest(f, d, size);
	int64_t offset = ingest_offset(i);

	ingest_unref(i);
	return offset;
}

static int open_journal(struct fixture *f, const struct digest *d)
{
	char name[CONTENT_PATH_MAX];
	int fd = openat(f->store->ingest_fd, ingest_journal_name(d, name), O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void a_torn_or_foreign_journal_counts_for_nothing(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = pattern(100000), slot[JOURNAL_SLOT];
	struct journal j;
	int fd;

	/* Every byte of the slots matters. */
	for (size_t at = 0; at < 2 * JOURNAL_SLOT; at += 61) {
		struct digest d = half_done(f, data, 100000);
		uint8_t both[2 * JOURNAL_SLOT] = { 0 };
		struct stat st;

		fd = open_journal(f, &d);
		assert_int_equal(fstat(fd, &st), 0);
		assert_true(pread(fd, both, sizeof both, 0) > 0);
		both[at] ^= 1;
		both[at ^ JOURNAL_SLOT] ^= 1;
		assert_int_equal(pwrite(fd, both, (size_t)st.st_size, 0), st.st_size);
		assert_false(journal_read(fd, &j));
		close(fd);
		assert_int_equal(offset_after(f, &d, 100000), 0);
	}
	{
		struct digest d = half_done(f, data, 100000);

		fd = open_journal(f, &d);
		assert_true(journal_read(fd, &j));
		journal_encode(&j, slot);
		assert_true(journal_decode(slot, &j));
		j.digest = digest_of_text("other"); /* a whole slot, about something else */
		j.sequence++;
		assert_true(journal_write(fd, &j));
		close(fd);
		assert_int_equal(offset_after(f, &d, 100000), 0);
	}
	free(data);
}

static void the_older_slot_serves_when_the_newer_is_torn(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = pattern(100000);
	struct digest d = half_done(f, data, 100000);
	struct journal j;
	int fd = open_journal(f, &d);

	assert_true(journal_read(fd, &j));
	j.sequence++;
	assert_true(journal_write(fd, &j));
	assert_int_equal(pwrite(fd, "torn", 4, (off_t)(j.sequence % 2) * JOURNAL_SLOT + 300), 4);
	close(fd);
	assert_int_equal(offset_after(f, &d, 100000), 50000);
	free(data);
}

static void data_shorter_or_longer_than_it_should_be_counts_for_nothing(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = pattern(100000);
	char name[CONTENT_PATH_MAX];
	struct digest d = half_done(f, data, 100000);
	int fd = openat(f->store->ingest_fd, ingest_data_name(&d, 0, name), O_RDWR | O_CLOEXEC);

	assert_int_equal(ftruncate(fd, 1000), 0);
	close(fd);
	assert_int_equal(offset_after(f, &d, 100000), 0);
	half_done(f, data, 100000);
	fd = openat(f->store->ingest_fd, ingest_data_name(&d, 0, name), O_RDWR | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, 100001), 0);
	close(fd);
	assert_int_equal(offset_after(f, &d, 100000), 0);
	half_done(f, data, 100000);
	assert_int_equal(offset_after(f, &d, 99999), 0); /* another size than was announced */
	free(data);
}

static void bytes_changed_behind_our_back_never_get_in(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = pattern(100000);
	char name[CONTENT_PATH_MAX];
	struct digest d = half_done(f, data, 100000);
	struct err err = ERR_INIT;
	struct ingest *i;
	int fd = openat(f->store->ingest_fd, ingest_data_name(&d, 0, name), O_RDWR | O_CLOEXEC);

	/* Behind what the journal vouches for: 50000 is no multiple of a block. */
	assert_int_equal(pwrite(fd, "x", 1, 49999), 1);
	close(fd);
	i = open_ingest(f, &d, 100000);
	assert_int_equal(ingest_offset(i), 50000);
	write_ok(i, data + 50000, 50000);
	assert_code(ingest_finish(i, &err), E_DIGEST_MISMATCH);
	assert_int_equal(ingest_offset(i), 0);
	ingest_unref(i);
	free(data);
}

static void a_symbolic_link_in_place_of_data_is_not_followed(void **state)
{
	struct fixture *f = *state;
	char name[CONTENT_PATH_MAX], victim[ROOT_MAX + 64];
	struct digest d = digest_of_text("hello");
	struct err err = ERR_INIT;
	struct ingest *i;

	snprintf(victim, sizeof victim, "%s/victim", f->root);
	assert_int_equal(symlinkat(victim, f->store->ingest_fd, ingest_data_name(&d, 0, name)), 0);
	assert_code(ingest_open(f->store, &d, 5, &i, &err), E_IO);
	assert_false(file_exists(f, "victim"));
}

/* ---- commit --------------------------------------------------------------- */

enum { MANY = 20, CALLERS = 4 };

struct caller {
	struct store *store;
	struct ingest **ingests;
	size_t n;
	pthread_t thread;
	int r;
};

static void *commit_all(void *arg)
{
	struct caller *c = arg;

	c->r = content_commit(c->store, c->ingests, c->n, NULL);
	return NULL;
}

static void many_callers_commit_the_same_ingests(void **state)
{
	struct fixture *f = *state;
	struct ingest *ingests[MANY];
	struct caller callers[CALLERS];
	struct err err = ERR_INIT;

	for (int i = 0; i < MANY; i++) {
		char text[32];
		struct digest d;

		snprintf(text, sizeof text, "blob %d", i);
		d = digest_of_text(text);
		assert_ok(ingest_bytes(f->store, &d, bytes_of(text), &ingests[i], &err), &err);
	}
	for (int c = 0; c < CALLERS; c++) {
		/* Overlapping halves. */
		callers[c] = (struct caller){ .store = f->store,
					      .ingests = ingests + (c % 2) * MANY / 3,
					      .n = MANY / 3 * 2 };
		assert_int_equal(pthread_create(&callers[c].thread, NULL, commit_all, &callers[c]), 0);
	}
	for (int c = 0; c < CALLERS; c++) {
		pthread_join(callers[c].thread, NULL);
		assert_int_equal(callers[c].r, OK);
	}
	for (int i = 0; i < MANY / 3 * 3 - 2; i++)
		assert_true(content_exists(f->store, ingest_digest(ingests[i]), NULL));
	for (int i = 0; i < MANY; i++)
		ingest_unref(ingests[i]);
}

static void a_commit_that_cannot_place_a_blob_leaves_none_behind(void **state)
{
	struct fixture *f = *state;
	struct digest d[2] = { digest_of_text("first"), digest_of_text("second") };
	struct ingest *i[2];
	struct err err = ERR_INIT;
	char path[CONTENT_PATH_MAX];
	int fd;

	assert_ok(ingest_bytes(f->store, &d[0], bytes_of("first"), &i[0], &err), &err);
	assert_ok(ingest_bytes(f->store, &d[1], bytes_of("second"), &i[1], &err), &err);
	/* The second one's directory cannot be made: a file has its name. */
	fd = openat(f->store->content_fd, content_shard(&d[1], path), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_not_equal(content_commit(f->store, i, 2, &err), OK);
	assert_int_equal(unlinkat(f->store->content_fd, path, 0), 0);
	ingest_unref(i[0]);
	ingest_unref(i[1]);
	add_blob(f->store, "first");
	add_blob(f->store, "second");
	assert_verified(f, &d[0], 5);
	assert_verified(f, &d[1], 6);
	assert_int_equal(ingest_bytes_left(f), 0);
}

static struct ingest *write_unnamed(struct fixture *f, const char *text)
{
	struct ingest *i = NULL;
	struct err err = ERR_INIT;

	assert_ok(ingest_open_unnamed(f->store, DIGEST_SHA256, &i, &err), &err);
	assert_ok(ingest_write(i, text, strlen(text), &err), &err);
	return i;
}

static void bytes_without_a_name_get_that_of_their_digest(void **state)
{
	struct fixture *f = *state;
	struct ingest *i[2] = { write_unnamed(f, "same"), write_unnamed(f, "same") };
	struct digest wanted = digest_of_text("same"), d;
	struct err err = ERR_INIT;

	for (size_t k = 0; k < 2; k++) {
		assert_ok(ingest_name(i[k], &d, &err), &err);
		assert_true(digest_eq(&d, &wanted));
	}
	assert_ok(content_commit(f->store, i, 2, &err), &err);
	ingest_unref(i[0]);
	ingest_unref(i[1]);
	assert_verified(f, &wanted, 4);
	assert_int_equal(ingest_bytes_left(f), 0);
}

static void bytes_without_a_name_are_kept_from_sweeps_and_go_with_their_ingest(void **state)
{
	struct fixture *f = *state;
	struct ingest *open = write_unnamed(f, "open"), *named = write_unnamed(f, "named");
	struct err err = ERR_INIT;
	int64_t freed = -1;
	struct digest d;

	assert_ok(ingest_name(named, &d, &err), &err);
	assert_ok(ingest_sweep(f->store, INT64_MAX, &freed, &err), &err);
	assert_int_equal(freed, 0);
	assert_int_equal(ingest_bytes_left(f), 4 + 5);
	ingest_unref(open);
	assert_int_equal(ingest_bytes_left(f), 5);
	ingest_unref(named);
	assert_int_equal(ingest_bytes_left(f), 0);
}

static void a_commit_that_failed_for_room_can_be_tried_again(void **state)
{
	struct fixture *f = *state;
	struct digest d[2] = { digest_of_text("first"), digest_of_text("second") };
	struct ingest *i[2];
	struct err err = ERR_INIT;
	char shard[CONTENT_PATH_MAX];

	assert_ok(ingest_bytes(f->store, &d[0], bytes_of("first"), &i[0], &err), &err);
	assert_ok(ingest_bytes(f->store, &d[1], bytes_of("second"), &i[1], &err), &err);
	no_room_for = content_shard(&d[1], shard);
	assert_code(content_commit(f->store, i, 2, &err), E_DISK_FULL);
	assert_false(content_exists(f->store, &d[1], NULL));
	no_room_for = NULL;
	assert_ok(content_commit(f->store, i, 2, &err), &err);
	ingest_unref(i[0]);
	ingest_unref(i[1]);
	assert_verified(f, &d[0], 5);
	assert_verified(f, &d[1], 6);
	assert_int_equal(ingest_bytes_left(f), 0);
}

static void damage(struct fixture *f, const char *text)
{
	struct digest d = digest_of_text(text);
	char path[CONTENT_PATH_MAX];
	int fd;

	add_blob(f->store, text);
	fd = openat(f->store->content_fd, content_path(&d, path), O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "!", 1, 0), 1);
	close(fd);
	assert_int_equal(content_quarantine(f->store, &d, NULL), OK);
}

static void damaged_content_comes_back_only_when_nobody_fetches_it(void **state)
{
	struct fixture *f = *state;
	struct digest d = digest_of_text("hello");
	struct ingest *i;
	struct err err = ERR_INIT;

	damage(f, "hello");
	i = open_ingest(f, &d, 5);
	assert_code(content_restore(f->store, &d, NULL, &err), E_BUSY);
	write_ok(i, "hello", 5);
	assert_ok(ingest_finish(i, &err), &err);
	assert_code(content_restore(f->store, &d, NULL, &err), E_BUSY);
	assert_ok(content_commit(f->store, &i, 1, &err), &err);
	assert_code(content_restore(f->store, &d, NULL, &err), E_EXISTS);
	ingest_unref(i);
	assert_verified(f, &d, 5);
	damage(f, "other");
	d = digest_of_text("other");
	assert_ok(ingest_bytes(f->store, &d, bytes_of("other"), &i, &err), &err); /* a private one */
	assert_code(content_restore(f->store, &d, NULL, &err), E_BUSY);
	assert_ok(content_restore(f->store, &d, i, &err), &err);
	ingest_unref(i);
	assert_code(content_verify(f->store, &d, NULL, NULL, NULL, &err), E_CORRUPT);
}

static void what_is_discarded_goes_at_once_or_when_it_is_closed(void **state)
{
	struct fixture *f = *state;
	struct digest d = digest_of_text("hello");
	struct ingest *i;

	ingest_discard(f->store, &d); /* there is none */
	i = open_ingest(f, &d, 5);
	write_ok(i, "hel", 3);
	ingest_unref(i);
	assert_true(ingest_bytes_left(f) > 0);
	ingest_discard(f->store, &d);
	assert_int_equal(ingest_bytes_left(f), 0);
	i = open_ingest(f, &d, 5);
	write_ok(i, "hel", 3);
	ingest_discard(f->store, &d);
	write_ok(i, "l", 1); /* somebody else may still want it */
	ingest_unref(i);
	assert_int_equal(ingest_bytes_left(f), 0);
	i = open_ingest(f, &d, 5);
	assert_int_equal(ingest_offset(i), 0);
	write_ok(i, "hello", 5);
	ingest_discard(f->store, &d);
	commit_ok(f, i);
	ingest_unref(i);
	assert_verified(f, &d, 5);
}

static void old_ingests_are_swept_and_open_ones_are_not(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = pattern(100000);
	struct digest closed = half_done(f, data, 100000), open = digest_of_text("hello");
	struct ingest *i = open_ingest(f, &open, 5), *private;
	int64_t freed, bytes;
	struct err err = ERR_INIT;

	write_ok(i, "hel", 3);
	assert_ok(ingest_bytes(f->store, &open, bytes_of("hello"), &private, &err), &err);
	assert_ok(ingest_sweep(f->store, clock_wall_ns() - 3600LL * 1000000000, &freed, &err), &err);
	assert_int_equal(freed, 0);
	assert_int_equal(offset_after(f, &closed, 100000), 50000);
	assert_ok(ingest_sweep(f->store, INT64_MAX, &freed, &err), &err);
	assert_true(freed >= 50000);
	assert_int_equal(offset_after(f, &closed, 100000), 0);
	assert_ok(ingest_usage(f->store, &bytes, &err), &err);
	assert_int_equal(bytes, 3 + 5);
	assert_ok(content_commit(f->store, &private, 1, &err), &err);
	write_ok(i, "lo", 2);
	commit_ok(f, i);
	ingest_unref(i);
	ingest_unref(private);
	free(data);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(bytes_are_committed_and_read_back),
		TEST(a_digest_is_taken_in_once_at_a_time),
		TEST(more_or_fewer_or_other_bytes_are_refused),
		TEST(an_unknown_size_is_counted),
		TEST(an_empty_blob_is_a_blob),
		TEST(sha512_blobs_have_a_place_too),
		TEST(a_reader_sees_the_file_grow_and_stays_through_the_commit),
		TEST(an_ingest_that_was_closed_goes_on),
		TEST(what_a_killed_process_wrote_is_kept),
		TEST(a_blob_that_was_finished_and_not_committed_is_all_there),
		TEST(after_a_reboot_only_synced_bytes_count_and_are_hashed_again),
		TEST(a_torn_or_foreign_journal_counts_for_nothing),
		TEST(the_older_slot_serves_when_the_newer_is_torn),
		TEST(data_shorter_or_longer_than_it_should_be_counts_for_nothing),
		TEST(bytes_changed_behind_our_back_never_get_in),
		TEST(a_symbolic_link_in_place_of_data_is_not_followed),
		TEST(many_callers_commit_the_same_ingests),
		TEST(a_commit_that_cannot_place_a_blob_leaves_none_behind),
		TEST(bytes_without_a_name_get_that_of_their_digest),
		TEST(bytes_without_a_name_are_kept_from_sweeps_and_go_with_their_ingest),
		TEST(a_commit_that_failed_for_room_can_be_tried_again),
		TEST(damaged_content_comes_back_only_when_nobody_fetches_it),
		TEST(what_is_discarded_goes_at_once_or_when_it_is_closed),
		TEST(old_ingests_are_swept_and_open_ones_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

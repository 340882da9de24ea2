/* Ingests that are written in several places at once, and the runs that they note. */
#include "tests/unit/store/fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>

#include "store/content/ingest_state.h"
#include "store/content/path.h"
#include "store/content/runs.h"

enum { SIZE = 24 * 1024 * 1024 + 17, MIB = 1024 * 1024 };

/* ---- runs ----------------------------------------------------------------- */

static uint32_t next(uint32_t *x)
{
	*x = *x * 1664525 + 1013904223;
	return *x >> 8;
}

/* Against a map of bytes, as long as there is room for all runs. */
static void runs_are_what_was_added(void **state)
{
	enum { END = 64 };
	uint32_t x = 1;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		struct runs r = { .n = 0 };
		bool there[END + 1] = { false };

		for (int step = 0; step < 12; step++) {
			int64_t from = next(&x) % END, to = from + next(&x) % 9, reach, behind;

			to = to < END ? to : END;
			runs_add(&r, from, to);
			memset(there + from, true, (size_t)(to - from));
			assert_true(runs_valid(&r, END));
			for (int64_t at = 0; at < END; at++) {
				for (reach = at; there[reach];)
					reach++;
				assert_int_equal(runs_reach(&r, at), reach);
				for (behind = at + 1; behind < END && !(there[behind] && !there[behind - 1]);)
					behind++;
				if (!there[at])
					assert_int_equal(runs_next(&r, at, END), behind);
			}
		}
	}
}

static void where_there_is_no_room_the_highest_run_is_forgotten(void **state)
{
	struct runs r = { .n = 0 };

	(void)state;
	for (int64_t i = 0; i < 2 * RUNS_MAX; i++)
		runs_add(&r, 100 - 10 * i < 0 ? 1000 + 10 * i : 100 - 10 * i,
			 (100 - 10 * i < 0 ? 1000 + 10 * i : 100 - 10 * i) + 5);
	assert_int_equal(r.n, RUNS_MAX);
	assert_true(runs_valid(&r, INT64_MAX));
	assert_int_equal(r.list[0].from, 0);
	runs_add(&r, 7, 9);
	assert_int_equal(r.n, RUNS_MAX);
	assert_int_equal(runs_reach(&r, 7), 9);
	runs_add(&r, 1, 1);
	assert_int_equal(r.n, RUNS_MAX);
}

static void runs_that_overlap_or_are_out_of_order_are_invalid(void **state)
{
	(void)state;
	assert_true(runs_valid(&(struct runs){ { { 0, 5 }, { 6, 7 } }, 2 }, 7));
	assert_false(runs_valid(&(struct runs){ { { 0, 5 }, { 6, 7 } }, 2 }, 6));
	assert_false(runs_valid(&(struct runs){ { { 0, 5 }, { 5, 7 } }, 2 }, 9));
	assert_false(runs_valid(&(struct runs){ { { 3, 5 }, { 0, 2 } }, 2 }, 9));
	assert_false(runs_valid(&(struct runs){ { { 3, 3 } }, 1 }, 9));
	assert_false(runs_valid(&(struct runs){ { { -1, 3 } }, 1 }, 9));
}

/* ---- ingests -------------------------------------------------------------- */

struct blob {
	uint8_t *data;
	struct digest digest;
};

static struct blob make_blob(void)
{
	struct blob b = { .data = malloc(SIZE) };
	uint32_t x = 99;

	assert_non_null(b.data);
	for (size_t i = 0; i < SIZE; i++)
		b.data[i] = (uint8_t)next(&x);
	digest_of(DIGEST_SHA256, (struct bytes){ b.data, SIZE }, &b.digest);
	return b;
}

static struct ingest *open_blob(struct fixture *f, const struct blob *b)
{
	struct err err = ERR_INIT;
	struct ingest *i;

	assert_ok(ingest_open(f->store, &b->digest, SIZE, &i, &err), &err);
	return i;
}

static void put(struct ingest *i, const struct blob *b, int64_t from, int64_t to)
{
	struct err err = ERR_INIT;

	assert_ok(ingest_scatter(i, &err), &err);
	assert_ok(ingest_write_at(i, from, b->data + from, (size_t)(to - from), &err), &err);
}

static void advance(struct ingest *i)
{
	struct err err = ERR_INIT;
	int r;

	while ((r = ingest_advance(i, &err)) > 0)
		;
	assert_int_equal(r, 0);
}

static void commit(struct fixture *f, struct ingest *i, const struct blob *b)
{
	struct err err = ERR_INIT;

	assert_ok(ingest_finish(i, &err), &err);
	assert_ok(content_commit(f->store, &i, 1, &err), &err);
	ingest_unref(i);
	assert_ok(content_verify(f->store, &b->digest, NULL, NULL, NULL, &err), &err);
}

static void bytes_that_come_early_are_hashed_when_the_gap_closes(void **state)
{
	struct fixture *f = *state;
	struct blob b = make_blob();
	struct ingest *i = open_blob(f, &b);
	int64_t from, to;

	put(i, &b, 8 * MIB, SIZE);
	advance(i);
	assert_int_equal(ingest_offset(i), 0);
	assert_int_equal(ingest_present(i), SIZE - 8 * MIB);
	assert_true(ingest_missing(i, 0, &from, &to));
	assert_int_equal(from, 0);
	assert_int_equal(to, 8 * MIB);
	put(i, &b, 0, 3 * MIB + 5);
	advance(i);
	assert_int_equal(ingest_offset(i), 3 * MIB + 5);
	assert_code(ingest_finish(i, NULL), E_CORRUPT);
	put(i, &b, 3 * MIB + 5, 8 * MIB);
	advance(i);
	assert_int_equal(ingest_offset(i), SIZE);
	assert_false(ingest_missing(i, 0, &from, &to));
	commit(f, i, &b);
	free(b.data);
}

static void more_than_the_size_is_refused(void **state)
{
	struct fixture *f = *state;
	struct blob b = make_blob();
	struct ingest *i = open_blob(f, &b);

	put(i, &b, 0, 10);
	assert_code(ingest_write_at(i, SIZE - 1, b.data, 2, NULL), E_LIMIT);
	ingest_unref(i);
	free(b.data);
}

static void one_stream_may_go_on_in_a_scattered_ingest(void **state)
{
	struct fixture *f = *state;
	struct blob b = make_blob();
	struct ingest *i = open_blob(f, &b);
	struct err err = ERR_INIT;

	put(i, &b, 4 * MIB, 6 * MIB);
	assert_ok(ingest_write(i, b.data, 5 * MIB, &err), &err); /* over what is there */
	advance(i);
	assert_int_equal(ingest_offset(i), 6 * MIB);
	assert_ok(ingest_write(i, b.data + 6 * MIB, SIZE - 6 * MIB, &err), &err);
	commit(f, i, &b);
	free(b.data);
}

static void starting_over_forgets_what_came_early(void **state)
{
	struct fixture *f = *state;
	struct blob b = make_blob();
	struct ingest *i = open_blob(f, &b);
	struct err err = ERR_INIT;

	put(i, &b, 8 * MIB, 9 * MIB);
	assert_ok(ingest_restart(i, &err), &err);
	assert_int_equal(ingest_present(i), 0);
	assert_ok(ingest_write(i, b.data, SIZE, &err), &err);
	commit(f, i, &b);
	free(b.data);
}

struct writer {
	struct ingest *ingest;
	const struct blob *blob;
	int64_t from;
};

static void *write_every_fourth(void *arg)
{
	enum { STEP = 300 * 1000 };
	const struct writer *w = arg;

	for (int64_t at = w->from * STEP; at < SIZE; at += 4 * STEP)
		if (ingest_write_at(w->ingest, at, w->blob->data + at, at + STEP < SIZE ? STEP : (size_t)(SIZE - at),
				    NULL))
			return arg;
	return NULL;
}

static void several_threads_write_while_the_owner_hashes(void **state)
{
	struct fixture *f = *state;
	struct blob b = make_blob();
	struct ingest *i = open_blob(f, &b);
	struct err err = ERR_INIT;
	struct writer writers[4];
	pthread_t threads[4];

	assert_ok(ingest_scatter(i, &err), &err);
	for (size_t n = 0; n < ARRAY_LEN(threads); n++) {
		writers[n] = (struct writer){ i, &b, (int64_t)n };
		assert_int_equal(pthread_create(&threads[n], NULL, write_every_fourth, &writers[n]), 0);
	}
	advance(i);
	for (size_t n = 0; n < ARRAY_LEN(threads); n++) {
		void *failed;

		pthread_join(threads[n], &failed);
		assert_null(failed);
	}
	advance(i);
	if (ingest_offset(i) < SIZE) { /* more runs at a time than are remembered: they come again */
		put(i, &b, ingest_offset(i), SIZE);
		advance(i);
	}
	commit(f, i, &b);
	free(b.data);
}

/* ---- other processes ------------------------------------------------------ */

static void write_and_die(struct fixture *f, const struct blob *b)
{
	pid_t pid;
	int status;

	store_close(f->store);
	f->store = NULL;
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct ingest *i;

		fixture_reopen(f);
		i = open_blob(f, b);
		put(i, b, 0, 5 * MIB);
		advance(i);
		put(i, b, 10 * MIB, 15 * MIB);
		put(i, b, 5 * MIB, 5 * MIB + 1000); /* not noted any more */
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	fixture_reopen(f);
}

static void what_a_killed_process_noted_is_kept(void **state)
{
	struct fixture *f = *state;
	struct blob b = make_blob();
	struct ingest *i;
	int64_t from, to;

	write_and_die(f, &b);
	i = open_blob(f, &b);
	assert_int_equal(ingest_offset(i), 5 * MIB);
	assert_int_equal(ingest_present(i), 10 * MIB);
	assert_true(ingest_missing(i, 0, &from, &to));
	assert_int_equal(from, 5 * MIB);
	assert_int_equal(to, 10 * MIB);
	put(i, &b, from, to);
	assert_true(ingest_missing(i, 0, &from, &to));
	put(i, &b, from, to);
	advance(i);
	commit(f, i, &b);
	free(b.data);
}

static void after_a_reboot_what_came_early_counts_for_nothing(void **state)
{
	struct fixture *f = *state;
	struct blob b = make_blob();
	struct ingest *i;

	write_and_die(f, &b);
	snprintf(f->store->boot_id, sizeof f->store->boot_id, "%s", "another");
	i = open_blob(f, &b);
	assert_int_equal(ingest_present(i), ingest_offset(i));
	assert_int_equal(ingest_offset(i), 0); /* nothing was synced */
	put(i, &b, 0, SIZE);
	advance(i);
	commit(f, i, &b);
	free(b.data);
}

static void a_closed_ingest_keeps_all_of_it(void **state)
{
	struct fixture *f = *state;
	struct blob b = make_blob();
	struct ingest *i = open_blob(f, &b);

	put(i, &b, 9 * MIB, 9 * MIB + 3);
	ingest_unref(i);
	i = open_blob(f, &b);
	assert_int_equal(ingest_offset(i), 0);
	assert_int_equal(ingest_present(i), 3);
	put(i, &b, 0, 9 * MIB);
	put(i, &b, 9 * MIB + 3, SIZE);
	advance(i);
	commit(f, i, &b);
	free(b.data);
}

/* A journal that claims more than the file has is of another file. */
static void runs_behind_the_end_of_the_file_count_for_nothing(void **state)
{
	struct fixture *f = *state;
	struct blob b = make_blob();
	struct ingest *i = open_blob(f, &b);
	char name[CONTENT_PATH_MAX];

	put(i, &b, 0, 3 * MIB);
	put(i, &b, 9 * MIB, 10 * MIB);
	ingest_unref(i);
	ingest_data_name(&b.digest, 0, name);
	{
		CLEANUP(closep) int fd = openat(f->store->ingest_fd, name, O_RDWR | O_CLOEXEC);

		assert_int_equal(ftruncate(fd, 10 * MIB - 1), 0);
	}
	i = open_blob(f, &b);
	assert_int_equal(ingest_present(i), 0);
	ingest_unref(i);
	free(b.data);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_are_what_was_added),
		cmocka_unit_test(where_there_is_no_room_the_highest_run_is_forgotten),
		cmocka_unit_test(runs_that_overlap_or_are_out_of_order_are_invalid),
		TEST(bytes_that_come_early_are_hashed_when_the_gap_closes),
		TEST(more_than_the_size_is_refused),
		TEST(one_stream_may_go_on_in_a_scattered_ingest),
		TEST(starting_over_forgets_what_came_early),
		TEST(several_threads_write_while_the_owner_hashes),
		TEST(what_a_killed_process_noted_is_kept),
		TEST(after_a_reboot_what_came_early_counts_for_nothing),
		TEST(a_closed_ingest_keeps_all_of_it),
		TEST(runs_behind_the_end_of_the_file_count_for_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

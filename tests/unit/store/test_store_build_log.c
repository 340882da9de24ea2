#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "store/cache/build_log.h"
#include "tests/unit/store/fixture.h"

enum { RUNNING = 1, DONE = 2, INTERRUPTED = 5 };

typedef Imaged__Store__V1__BuildRecord build_record;

static struct build_log *begin(struct store *s, char ret_id[BUILD_ID_TEXT_MAX])
{
	build_record record = IMAGED__STORE__V1__BUILD_RECORD__INIT;
	struct build_log *l = NULL;
	struct err err = ERR_INIT;

	record.state = RUNNING;
	record.context = (char *)".";
	assert_ok(build_log_begin(s, &record, &l, &err), &err);
	snprintf(ret_id, BUILD_ID_TEXT_MAX, "%s", build_log_id(l));
	return l;
}

static void end(struct build_log *l)
{
	build_record record = IMAGED__STORE__V1__BUILD_RECORD__INIT;

	record.state = DONE;
	record.context = (char *)".";
	record.steps = 3;
	build_log_end(l, &record);
}

static build_record *get(struct store *s, const char *id, struct arena *arena)
{
	build_record *record = NULL;
	struct err err = ERR_INIT;

	arena_reset(arena, 1 << 20);
	assert_ok(build_record_get(s, id, arena, &record, &err), &err);
	return record;
}

static int get_code(struct store *s, const char *id)
{
	CLEANUP(arena_free) struct arena arena;
	build_record *record;

	arena_init(&arena, 1 << 20);
	return build_record_get(s, id, &arena, &record, NULL);
}

static void what_a_build_told_is_kept_behind_its_length(void **state)
{
	struct fixture *f = *state;
	CLEANUP(arena_free) struct arena arena;
	char id[BUILD_ID_TEXT_MAX], bytes[16];
	struct build_log *l = begin(f->store, id);
	struct err err = ERR_INIT;
	int fd;

	arena_init(&arena, 1 << 20);
	assert_int_equal(get(f->store, id, &arena)->state, RUNNING);
	build_log_write(l, bytes_of("one"));
	build_log_write(l, bytes_of("two2"));
	end(l);
	assert_ok(build_log_open(f->store, id, &fd, &err), &err);
	assert_int_equal(read(fd, bytes, sizeof bytes), 15);
	assert_memory_equal(bytes, "\3\0\0\0one\4\0\0\0two2", 15);
	close(fd);
	assert_int_equal(get(f->store, id, &arena)->state, DONE);
	assert_int_equal(get(f->store, id, &arena)->steps, 3);
	assert_true(get(f->store, id, &arena)->ended_ns >= get(f->store, id, &arena)->started_ns);
}

static void a_running_build_cannot_be_removed(void **state)
{
	struct fixture *f = *state;
	char id[BUILD_ID_TEXT_MAX];
	struct build_log *l = begin(f->store, id);
	struct err err = ERR_INIT;

	assert_code(build_record_remove(f->store, id, &err), E_CONFLICT);
	end(l);
	assert_ok(build_record_remove(f->store, id, &err), &err);
	assert_code(get_code(f->store, id), E_NOT_FOUND);
}

/* Another process that begins a build and is gone. */
static void begin_and_die(const char *root)
{
	char id[BUILD_ID_TEXT_MAX];
	struct store *s = NULL;
	struct err err = ERR_INIT;
	pid_t pid = fork();
	int status = -1;

	assert_true(pid >= 0);
	if (!pid) {
		if (store_open(root, &s, &err) == OK)
			begin(s, id);
		_exit(s ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void a_build_that_a_crash_ended_was_interrupted(void **state)
{
	struct fixture *f = *state;
	CLEANUP(arena_free) struct arena arena;
	struct err err = ERR_INIT;

	arena_init(&arena, 1 << 20);
	store_close(f->store);
	f->store = NULL;
	begin_and_die(f->root);
	assert_ok(store_open(f->root, &f->store, &err), &err);
	assert_int_equal(get(f->store, "^0", &arena)->state, INTERRUPTED);
	assert_ok(build_record_remove(f->store, "^0", &err), &err);
	assert_code(get_code(f->store, "^0"), E_NOT_FOUND);
}

static void a_log_that_is_too_long_is_cut_off(void **state)
{
	struct fixture *f = *state;
	CLEANUP(arena_free) struct arena arena;
	CLEANUP(freep) char *much = calloc(1, 1 << 20);
	char id[BUILD_ID_TEXT_MAX], path[64];
	struct build_log *l = begin(f->store, id);
	struct stat st;

	assert_non_null(much);
	arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < 70; i++)
		build_log_write(l, (struct bytes){ (uint8_t *)much, 1 << 20 });
	end(l);
	assert_true(get(f->store, id, &arena)->log_is_cut);
	snprintf(path, sizeof path, "builds/logs/%s", id);
	assert_int_equal(stat(fixture_path(f, path), &st), 0);
	assert_in_range(st.st_size, BUILD_LOG_BYTES_MAX - (2 << 20), BUILD_LOG_BYTES_MAX);
}

static bool note_id(void *arg, const build_record *record)
{
	char(*ids)[BUILD_ID_TEXT_MAX] = arg;

	for (size_t i = 0; i < 3; i++) {
		if (ids[i][0])
			continue;
		snprintf(ids[i], sizeof ids[i], "%s", record->id);
		return true;
	}
	return false;
}

static void builds_are_listed_and_found_newest_first(void **state)
{
	struct fixture *f = *state;
	CLEANUP(arena_free) struct arena arena;
	char ids[3][BUILD_ID_TEXT_MAX], seen[3][BUILD_ID_TEXT_MAX] = { { 0 } };
	struct err err = ERR_INIT;

	arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < 3; i++)
		end(begin(f->store, ids[i]));
	assert_ok(build_records_each(f->store, "", note_id, seen, &err), &err);
	for (size_t i = 0; i < 3; i++)
		assert_string_equal(seen[i], ids[2 - i]);
	memset(seen, 0, sizeof seen);
	assert_ok(build_records_each(f->store, ids[1], note_id, seen, &err), &err);
	assert_string_equal(seen[0], ids[0]);
	assert_string_equal(seen[1], "");
	assert_string_equal(get(f->store, "", &arena)->id, ids[2]);
	assert_string_equal(get(f->store, "^0", &arena)->id, ids[2]);
	assert_string_equal(get(f->store, "^2", &arena)->id, ids[0]);
	assert_code(get_code(f->store, "^3"), E_NOT_FOUND);
	assert_code(get_code(f->store, "^x"), E_INVALID);
	assert_code(get_code(f->store, "0"), E_CONFLICT); /* what all times begin with */
	assert_code(get_code(f->store, "../../lock"), E_NOT_FOUND);
	ids[1][20] = 0;
	assert_string_equal(get(f->store, ids[1], &arena)->id, get(f->store, "^1", &arena)->id);
}

static size_t count_logs(struct fixture *f)
{
	DIR *dir = opendir(fixture_path(f, "builds/logs"));
	size_t n = 0;

	assert_non_null(dir);
	for (struct dirent *e; (e = readdir(dir));)
		n += e->d_name[0] != '.';
	closedir(dir);
	return n;
}

static bool count_record(void *arg, UNUSED const build_record *record)
{
	++*(size_t *)arg;
	return true;
}

static void only_the_last_ones_are_kept(void **state)
{
	struct fixture *f = *state;
	char first[BUILD_ID_TEXT_MAX], id[BUILD_ID_TEXT_MAX];
	struct build_log *running = begin(f->store, first);
	struct err err = ERR_INIT;
	size_t n = 0;
	FILE *orphan = fopen(fixture_path(f, "builds/logs/0000000000000000000000000"), "w");

	assert_non_null(orphan);
	fclose(orphan);
	for (size_t i = 0; i < BUILD_LOGS_MAX + 3; i++)
		end(begin(f->store, id));
	assert_ok(build_records_each(f->store, "", count_record, &n, &err), &err);
	assert_int_equal(n, BUILD_LOGS_MAX);
	assert_int_equal(count_logs(f), BUILD_LOGS_MAX);
	assert_int_equal(get_code(f->store, first), OK); /* it runs */
	end(running);
}

int main(void)
{
#define IN_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		IN_STORE(what_a_build_told_is_kept_behind_its_length), IN_STORE(a_running_build_cannot_be_removed),
		IN_STORE(a_build_that_a_crash_ended_was_interrupted),  IN_STORE(a_log_that_is_too_long_is_cut_off),
		IN_STORE(builds_are_listed_and_found_newest_first),    IN_STORE(only_the_last_ones_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "proto/runtime/clock.h"
#include "store/cache/cache_dir.h"
#include "store/cache/cache_mounts.h"
#include "tests/unit/store/fixture.h"

static const struct cache_mount_request plain = { .id = "/root/.cache", .mode = 0755 };

static struct cache_mounts *mounts_of(struct fixture *f)
{
	struct cache_mounts *c = NULL;
	struct err err = ERR_INIT;

	assert_ok(cache_mounts_new(f->store, &c, &err), &err);
	return c;
}

static struct cache_mount *enter(struct cache_mounts *c, struct cache_mount_request request, bool expected_new)
{
	struct cache_mount *m = NULL;
	struct err err = ERR_INIT;
	bool is_new = !expected_new;

	assert_ok(cache_mount_enter(c, &request, NULL, &m, &is_new, &err), &err);
	assert_int_equal(is_new, expected_new);
	return m;
}

static struct cache_mount_request with(enum cache_sharing sharing)
{
	struct cache_mount_request request = plain;

	request.sharing = sharing;
	return request;
}

static struct cache_mount_request seeded(const char *seed)
{
	struct cache_mount_request request = plain;

	request.seed = digest_of_text(seed);
	return request;
}

static void write_file(struct cache_mount *m, const char *name)
{
	int fd = openat(cache_mount_directory(m), name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	close(fd);
}

static bool has_file(struct cache_mount *m, const char *name)
{
	return !faccessat(cache_mount_directory(m), name, F_OK, AT_SYMLINK_NOFOLLOW);
}

static bool is_there(const struct fixture *f, const char *path)
{
	return !faccessat(AT_FDCWD, fixture_path(f, path), F_OK, AT_SYMLINK_NOFOLLOW);
}

static bool is_same(struct cache_mount *a, struct cache_mount *b)
{
	struct stat x, y;

	assert_int_equal(fstat(cache_mount_directory(a), &x), 0);
	assert_int_equal(fstat(cache_mount_directory(b), &y), 0);
	return x.st_ino == y.st_ino;
}

static int64_t prune(struct cache_mounts *c, struct cache_mount_limits limits)
{
	struct err err = ERR_INIT;
	int64_t freed = -1;

	assert_ok(cache_mounts_prune(c, &limits, &freed, &err), &err);
	return freed;
}

static bool count_usage(void *arg, const struct cache_mount_usage *usage)
{
	int64_t *uses = arg;

	uses[0]++;
	uses[1] += usage->use_count;
	uses[2] += usage->in_use;
	assert_string_equal(usage->id, plain.id);
	return true;
}

static void what_a_step_left_is_there_for_the_next_in_later_runs_too(void **state)
{
	struct fixture *f = *state;
	struct cache_mounts *c = mounts_of(f);
	struct cache_mount *m = enter(c, plain, true);
	int64_t uses[3] = { 0 };
	struct err err = ERR_INIT;
	struct stat st;

	assert_int_equal(fstat(cache_mount_directory(m), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	write_file(m, "left");
	cache_mount_leave(m);
	cache_mounts_free(c);
	fixture_reopen(f);
	c = mounts_of(f);
	m = enter(c, plain, false);
	assert_true(has_file(m, "left"));
	cache_mount_leave(m);
	assert_ok(cache_mounts_each(c, NULL, NULL, count_usage, uses, &err), &err);
	assert_int_equal(uses[0], 1);
	assert_int_equal(uses[1], 2);
	assert_int_equal(uses[2], 0);
	cache_mounts_free(c);
}

static void other_modes_owners_ids_and_seeds_are_other_caches(void **state)
{
	struct fixture *f = *state;
	struct cache_mounts *c = mounts_of(f);
	struct cache_mount_request other = plain;
	struct cache_mount *m = enter(c, plain, true), *n;

	other.mode = 0700;
	n = enter(c, other, true);
	assert_false(is_same(m, n));
	cache_mount_leave(n);
	other = plain;
	other.id = "another";
	cache_mount_leave(enter(c, other, true));
	cache_mount_leave(enter(c, seeded("stage"), true));
	if (!getuid()) {
		struct stat st;

		other = plain;
		other.uid = 7;
		other.gid = 8;
		n = enter(c, other, true);
		assert_int_equal(fstat(cache_mount_directory(n), &st), 0);
		assert_int_equal(st.st_uid, 7);
		assert_int_equal(st.st_gid, 8);
		cache_mount_leave(n);
	}
	cache_mount_leave(m);
	cache_mounts_free(c);
}

static void shared_ones_are_one_directory_private_ones_are_not(void **state)
{
	struct fixture *f = *state;
	struct cache_mounts *c = mounts_of(f);
	struct cache_mount *a = enter(c, with(CACHE_SHARED), true), *b = enter(c, with(CACHE_SHARED), false);
	struct cache_mount *p = enter(c, with(CACHE_PRIVATE), true), *q = enter(c, with(CACHE_PRIVATE), true);

	assert_true(is_same(a, b));
	assert_false(is_same(a, p));
	assert_false(is_same(p, q));
	write_file(q, "left");
	cache_mount_leave(a);
	cache_mount_leave(b);
	cache_mount_leave(p);
	cache_mount_leave(q);
	/* They are taken again, the first ones first. */
	a = enter(c, with(CACHE_PRIVATE), false);
	b = enter(c, with(CACHE_PRIVATE), false);
	p = enter(c, with(CACHE_PRIVATE), false);
	assert_true(has_file(p, "left"));
	cache_mount_leave(a);
	cache_mount_leave(b);
	cache_mount_leave(p);
	cache_mounts_free(c);
}

struct waiting {
	struct cache_mounts *mounts;
	struct cancel *cancel;
	struct cache_mount *mount;
	int r;
};

static void *wait_for_lock(void *arg)
{
	struct waiting *w = arg;
	struct cache_mount_request request = with(CACHE_LOCKED);
	bool is_new;

	w->r = cache_mount_enter(w->mounts, &request, w->cancel, &w->mount, &is_new, NULL);
	return NULL;
}

static void a_locked_one_waits_until_the_other_has_left(void **state)
{
	struct fixture *f = *state;
	struct cache_mounts *c = mounts_of(f);
	struct cache_mount *m = enter(c, with(CACHE_LOCKED), true);
	struct waiting w = { .mounts = c, .r = -1 };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, wait_for_lock, &w), 0);
	write_file(m, "written with the lock");
	cache_mount_leave(m);
	pthread_join(thread, NULL);
	assert_int_equal(w.r, OK);
	assert_true(has_file(w.mount, "written with the lock"));
	cache_mount_leave(w.mount);
	cache_mounts_free(c);
}

static void waiting_for_a_locked_one_can_be_cancelled(void **state)
{
	struct fixture *f = *state;
	struct cache_mounts *c = mounts_of(f);
	struct cache_mount *m = enter(c, with(CACHE_LOCKED), true);
	struct waiting w = { .mounts = c, .cancel = cancel_new() };
	pthread_t thread;

	assert_non_null(w.cancel);
	assert_int_equal(pthread_create(&thread, NULL, wait_for_lock, &w), 0);
	cancel_fire(w.cancel, E_CANCELLED);
	pthread_join(thread, NULL);
	assert_code(w.r, E_CANCELLED);
	cancel_unref(w.cancel);
	cache_mount_leave(m);
	cache_mounts_free(c);
}

static void what_was_not_filled_is_new_again(void **state)
{
	struct fixture *f = *state;
	struct cache_mounts *c = mounts_of(f);
	struct cache_mount *m = enter(c, seeded("stage"), true);
	int left;

	write_file(m, "half");
	cache_mount_leave(m);
	m = enter(c, seeded("stage"), true);
	assert_false(has_file(m, "half"));
	/* As a process leaves it that is killed here. */
	left = openat(cache_mount_directory(m), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cache_mount_leave(m);
	cache_mounts_free(c);
	assert_int_equal(mkdirat(left, "half again", 0755), 0);
	close(left);
	fixture_reopen(f);
	c = mounts_of(f);
	m = enter(c, seeded("stage"), true);
	assert_false(has_file(m, "half again"));
	write_file(m, "whole");
	cache_mount_ready(m);
	cache_mount_leave(m);
	cache_mounts_free(c);
	fixture_reopen(f);
	c = mounts_of(f);
	m = enter(c, seeded("stage"), false);
	assert_true(has_file(m, "whole"));
	cache_mount_leave(m);
	cache_mounts_free(c);
}

static void make_tree(int at, size_t depth)
{
	int dir = dup(at);

	for (size_t i = 0; i < depth; i++) {
		int inner;

		assert_int_equal(mkdirat(dir, "d", 0755), 0);
		inner = openat(dir, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(inner >= 0);
		close(dir);
		dir = inner;
	}
	assert_int_equal(symlinkat("/etc", dir, "link"), 0);
	assert_int_equal(mkdirat(dir, ".imaged-gone-1", 0), 0);
	close(dir);
}

static void pruning_takes_trees_of_any_depth_and_leaves_what_is_in_use(void **state)
{
	struct fixture *f = *state;
	struct cache_mounts *c = mounts_of(f);
	struct cache_mount *m = enter(c, plain, true);
	int dir = openat(cache_mount_directory(m), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int64_t uses[3] = { 0 };
	struct err err = ERR_INIT;

	make_tree(dir, 5000);
	close(dir);
	assert_int_equal(prune(c, (struct cache_mount_limits){ 0 }), 0);
	assert_ok(cache_mounts_each(c, NULL, NULL, count_usage, uses, &err), &err);
	assert_int_equal(uses[2], 1);
	cache_mount_leave(m);
	assert_int_equal(prune(c, (struct cache_mount_limits){ .unused_since = 1 }), 0);
	assert_true(prune(c, (struct cache_mount_limits){ .dry_run = true }) > 0);
	assert_true(prune(c, (struct cache_mount_limits){ 0 }) > 0);
	assert_int_equal(rmdir(fixture_path(f, "builds/caches")), 0); /* nothing is left in it */
	assert_int_equal(mkdir(fixture_path(f, "builds/caches"), 0700), 0);
	cache_mounts_free(c);
	fixture_reopen(f);
	c = mounts_of(f);
	cache_mount_leave(enter(c, plain, true));
	cache_mounts_free(c);
}

static void leftovers_of_a_removal_that_was_cut_off_go(void **state)
{
	struct fixture *f = *state;
	struct cache_mounts *c = mounts_of(f);
	const char *orphan = "builds/caches/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

	assert_int_equal(mkdir(fixture_path(f, "builds/caches/gone-1"), 0700), 0);
	assert_int_equal(mkdir(fixture_path(f, "builds/caches/gone-1/0"), 0700), 0);
	assert_int_equal(mkdir(fixture_path(f, orphan), 0700), 0);
	cache_mount_leave(enter(c, plain, true));
	prune(c, (struct cache_mount_limits){ .unused_since = 1 });
	assert_false(is_there(f, "builds/caches/gone-1"));
	assert_false(is_there(f, orphan));
	cache_mount_leave(enter(c, plain, false));
	cache_mounts_free(c);
}

int main(void)
{
#define IN_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		IN_STORE(what_a_step_left_is_there_for_the_next_in_later_runs_too),
		IN_STORE(other_modes_owners_ids_and_seeds_are_other_caches),
		IN_STORE(shared_ones_are_one_directory_private_ones_are_not),
		IN_STORE(a_locked_one_waits_until_the_other_has_left),
		IN_STORE(waiting_for_a_locked_one_can_be_cancelled),
		IN_STORE(what_was_not_filled_is_new_again),
		IN_STORE(pruning_takes_trees_of_any_depth_and_leaves_what_is_in_use),
		IN_STORE(leftovers_of_a_removal_that_was_cut_off_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

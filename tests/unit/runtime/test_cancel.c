/* Cancellation tokens and clocks, with threads. */
#include <pthread.h>
#include <stdatomic.h>

#include "proto/runtime/cancel.h"
#include "proto/runtime/clock.h"
#include "tests/unit/runtime/runtime_test.h"

enum { FAR_MS = 600 * 1000 };

static void count(void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
}

static void first_fire_decides_the_code(UNUSED void **state)
{
	CLEANUP(cancel_unrefp) struct cancel *c = cancel_new();
	struct err err = ERR_INIT;

	assert_int_equal(cancel_check(c, &err), OK);
	assert_false(cancel_fired(c));
	cancel_fire(c, E_DEADLINE);
	cancel_fire(c, E_CANCELLED);
	assert_true(cancel_fired(c));
	assert_int_equal(cancel_check(c, &err), E_DEADLINE);
	assert_string_not_equal(err.text, "");
}

static void no_token_never_fires(UNUSED void **state)
{
	assert_int_equal(cancel_check(NULL, NULL), OK);
	assert_false(cancel_fired(NULL));
	cancel_unref(NULL);
}

static void hooks_run_once_when_fired(UNUSED void **state)
{
	CLEANUP(cancel_unrefp) struct cancel *c = cancel_new();
	atomic_int n = 0, m = 0;
	struct cancel_hook a = { .fn = count, .arg = &n }, b = { .fn = count, .arg = &m };

	cancel_hook(c, &a);
	cancel_hook(c, &b);
	cancel_unhook(c, &b);
	cancel_fire(c, E_CANCELLED);
	cancel_fire(c, E_CANCELLED);
	assert_int_equal(n, 1);
	assert_int_equal(m, 0);
	cancel_unhook(c, &a);
}

static void hook_on_a_fired_token_runs_at_once(UNUSED void **state)
{
	CLEANUP(cancel_unrefp) struct cancel *c = cancel_new();
	atomic_int n = 0;
	struct cancel_hook a = { .fn = count, .arg = &n };

	cancel_fire(c, E_CANCELLED);
	cancel_hook(c, &a);
	assert_int_equal(n, 1);
	cancel_unhook(c, &a);
	assert_int_equal(n, 1);
}

static void hooks_can_be_taken_off_in_any_order(UNUSED void **state)
{
	CLEANUP(cancel_unrefp) struct cancel *c = cancel_new();
	atomic_int n = 0;
	struct cancel_hook h[3];

	for (size_t i = 0; i < 3; i++) {
		h[i] = (struct cancel_hook){ .fn = count, .arg = &n };
		cancel_hook(c, &h[i]);
	}
	cancel_unhook(c, &h[1]);
	cancel_unhook(c, &h[1]);
	cancel_unhook(c, &h[2]);
	cancel_fire(c, E_CANCELLED);
	assert_int_equal(n, 1);
}

static void *fire(void *arg)
{
	cancel_fire(arg, E_CANCELLED);
	cancel_unref(arg);
	return NULL;
}

static void waiting_ends_when_fired(UNUSED void **state)
{
	CLEANUP(cancel_unrefp) struct cancel *c = cancel_new();
	int64_t before = clock_monotonic_ms();
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, fire, cancel_ref(c)), 0);
	assert_true(cancel_wait(c, FAR_MS));
	assert_true(clock_monotonic_ms() - before < FAR_MS / 4);
	pthread_join(thread, NULL);
}

static void waiting_ends_at_its_time(UNUSED void **state)
{
	CLEANUP(cancel_unrefp) struct cancel *c = cancel_new();
	int64_t before = clock_monotonic_ms();

	assert_false(cancel_wait(c, 30));
	assert_true(clock_monotonic_ms() - before >= 29);
	assert_false(cancel_wait(c, 0));
	assert_false(cancel_wait(c, -5));
}

/* A hook that still ran after cancel_unhook() would write to a dead frame, which
 * ASan and TSan see. */
static void hook_does_not_run_after_unhook(UNUSED void **state)
{
	for (int i = 0; i < 200; i++) {
		CLEANUP(cancel_unrefp) struct cancel *c = cancel_new();
		pthread_t thread;
		int seen;

		assert_int_equal(pthread_create(&thread, NULL, fire, cancel_ref(c)), 0);
		{
			atomic_int n = 0;
			struct cancel_hook h = { .fn = count, .arg = &n };

			cancel_hook(c, &h);
			cancel_unhook(c, &h);
			seen = n;
		}
		assert_true(seen == 0 || seen == 1);
		pthread_join(thread, NULL);
	}
}

static void deadlines_lie_ahead_without_overflow(UNUSED void **state)
{
	struct timespec now = clock_deadline(0), soon = clock_deadline(1500), far = clock_deadline(INT64_MAX);

	assert_true(soon.tv_sec - now.tv_sec >= 1 && soon.tv_sec - now.tv_sec <= 3);
	assert_true(soon.tv_nsec >= 0 && soon.tv_nsec < 1000000000);
	assert_true(far.tv_sec > now.tv_sec + 24 * 3600);
	assert_true(clock_wall_s() > 1600000000);
	assert_true(clock_wall_ns() / 1000000000 - clock_wall_s() <= 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_fire_decides_the_code),
		cmocka_unit_test(no_token_never_fires),
		cmocka_unit_test(hooks_run_once_when_fired),
		cmocka_unit_test(hook_on_a_fired_token_runs_at_once),
		cmocka_unit_test(hooks_can_be_taken_off_in_any_order),
		cmocka_unit_test(waiting_ends_when_fired),
		cmocka_unit_test(waiting_ends_at_its_time),
		cmocka_unit_test(hook_does_not_run_after_unhook),
		cmocka_unit_test(deadlines_lie_ahead_without_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

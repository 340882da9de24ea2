/* What the daemon makes of a worker that lies, dies or hangs. */
#include <errno.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "proto/runtime/clock.h"
#include "service/layer/layer.h"
#include "tests/unit/layer/bad_workers.h"

static int run_job(struct layer_workers *w, struct layer_facts *facts, struct err *err)
{
	CLEANUP(layer_job_freep) struct layer_job *j = NULL;
	int rc = layer_job_start(w, craft_fd(bytes_of("content")), COMPRESSION_NONE, 7, &j, err);

	return rc == OK ? layer_job_finish(j, NULL, facts, err) : rc;
}

static int run_with(const char *way, int64_t stall_ms, struct err *err)
{
	CLEANUP(layer_workers_unrefp) struct layer_workers *w = NULL;
	struct layer_policy policy = layer_policy_default();
	struct layer_facts facts;
	char path[128];
	int rc;

	bad_worker_path(way, path, sizeof path);
	policy.stall_ms = stall_ms;
	assert_ok(layer_workers_new(path, 1, &w, err), err);
	layer_workers_set_policy(w, &policy);
	rc = run_job(w, &facts, err);
	unlink(path);
	return rc;
}

static void assert_no_children(void)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

struct expectation {
	const char *way;
	int code;
	const char *text;
};

static void assert_all(const struct expectation *cases, size_t n, int64_t stall_ms)
{
	int before = count_descriptors();

	for (size_t i = 0; i < n; i++) {
		struct err err = ERR_INIT;
		int rc = run_with(cases[i].way, stall_ms, &err);

		if (rc != cases[i].code || !strstr(err.text, cases[i].text))
			failed("%s: %d '%s' instead of '%s'", cases[i].way, rc, err.text, cases[i].text);
		assert_no_children();
		assert_int_equal(count_descriptors(), before);
	}
}

static void a_worker_that_dies_fails_its_layer_with_the_reason(void **state UNUSED)
{
	static const struct expectation cases[] = {
		{ "exits", E_WORKER,
		  "imaged-layer ended with exit code 3: libsomething.so.1: cannot open?[0m?second line" },
		{ "crashes", E_WORKER, "imaged-layer was killed by SIGSEGV" },
		{ "unknown-way", E_WORKER, "imaged-layer ended with exit code 2" },
	};

	assert_all(cases, ARRAY_LEN(cases), LONG_STALL_MS);
}

static void a_worker_without_its_sandbox_gets_no_layer(void **state UNUSED)
{
	static const struct expectation cases[] = {
		{ "no-seccomp", E_WORKER, "imaged-layer has no sandbox: seccomp is missing" },
		{ "refuses", E_WORKER, "imaged-layer: sandbox: something is missing" },
		{ "wrong-version", E_WORKER, "must come from one installation" },
	};

	assert_all(cases, ARRAY_LEN(cases), LONG_STALL_MS);
}

static void a_worker_that_speaks_nonsense_fails_its_layer(void **state UNUSED)
{
	static const struct expectation cases[] = {
		{ "result-before-ready", E_WORKER, "nonsense: a message before READY" },
		{ "ready-twice", E_WORKER, "nonsense: READY twice" },
		{ "huge-result", E_WORKER, "nonsense: a result that cannot be" },
		{ "sparse-result", E_WORKER, "nonsense: a result that cannot be" },
		{ "negative-result", E_WORKER, "nonsense: message of type 66 with a bad field" },
		{ "future-layer", E_WORKER, "nonsense: an answer to a layer that it does not have" },
		{ "cut-message", E_WORKER, "nonsense: message of 5 bytes" },
		{ "unasked-cancel", E_WORKER, "nonsense: it cancelled a layer by itself" },
		{ "too-much-progress", E_WORKER, "nonsense: progress that cannot be" },
		{ "foreign-code", E_WORKER, "nonsense: message of type 67 with a bad field" },
		{ "control-text", E_BAD_CONTENT, "?[31mred?line" },
	};

	assert_all(cases, ARRAY_LEN(cases), LONG_STALL_MS);
}

static void a_worker_that_hangs_is_ended_after_the_time_budget(void **state UNUSED)
{
	static const struct expectation cases[] = {
		{ "silent", E_WORKER, "makes no progress" },
		{ "stalls", E_WORKER, "makes no progress" },
		{ "floods", E_WORKER, "makes no progress" },
	};
	int64_t start = clock_monotonic_ms();

	assert_all(cases, ARRAY_LEN(cases), SHORT_STALL_MS);
	assert_true(clock_monotonic_ms() - start < RUNAWAY_MS);
}

static void a_worker_that_closes_its_socket_and_lives_on_is_killed(void **state UNUSED)
{
	static const struct expectation cases[] = { { "closes", E_WORKER, "closed its socket without ending" } };

	assert_all(cases, ARRAY_LEN(cases), LONG_STALL_MS);
}

static void descriptors_of_the_worker_are_not_taken(void **state UNUSED)
{
	static const struct expectation cases[] = { { "sends-descriptors", OK, "" } };

	assert_all(cases, ARRAY_LEN(cases), LONG_STALL_MS);
}

/* 1024 bytes, it says of a plain tar of 7. */
static void a_count_of_a_plain_tar_that_is_not_its_size_is_nonsense(void **state UNUSED)
{
	CLEANUP(layer_workers_unrefp) struct layer_workers *w = NULL;
	CLEANUP(layer_job_freep) struct layer_job *j = NULL;
	struct digest known = craft_sha256(bytes_of("content"));
	struct layer_facts facts;
	struct err err = ERR_INIT;
	char path[128];

	bad_worker_path("sends-descriptors", path, sizeof path);
	assert_ok(layer_workers_new(path, 1, &w, &err), &err);
	assert_ok(layer_job_start_whole(w, craft_fd(bytes_of("content")), &known, 7, &j, &err), &err);
	assert_fails(layer_job_finish(j, NULL, &facts, &err), &err, E_WORKER, "nonsense: a result that cannot be");
	unlink(path);
}

/* The result comes before the content is complete: found while feeding. */
static void a_result_before_the_end_is_nonsense(void **state UNUSED)
{
	CLEANUP(layer_workers_unrefp) struct layer_workers *w = NULL;
	CLEANUP(layer_job_freep) struct layer_job *j = NULL;
	int64_t until = clock_monotonic_ms() + RUNAWAY_MS, size = INT64_C(1) << 40;
	struct err err = ERR_INIT;
	char path[128];

	bad_worker_path("early-result", path, sizeof path);
	assert_ok(layer_workers_new(path, 1, &w, &err), &err);
	assert_ok(layer_job_start(w, craft_fd(bytes_of("x")), COMPRESSION_NONE, size, &j, &err), &err);
	layer_job_available(j, 1);
	while (layer_job_check(j, &err) == OK && clock_monotonic_ms() < until)
		usleep(1000);
	unlink(path);
	assert_fails(layer_job_check(j, &err), &err, E_WORKER, "nonsense: a result that cannot be");
}

/* It is sent BEGIN, pieces and CANCEL again and again, and reads nothing. */
static void a_worker_that_takes_no_messages_is_replaced(void **state UNUSED)
{
	CLEANUP(layer_workers_unrefp) struct layer_workers *w = NULL;
	struct err err = ERR_INIT;
	char path[128];

	bad_worker_path("deaf", path, sizeof path);
	assert_ok(layer_workers_new(path, 1, &w, &err), &err);
	for (int i = 0; i < 20; i++) {
		CLEANUP(layer_job_freep) struct layer_job *j = NULL;

		assert_ok(layer_job_start(w, craft_fd(bytes_of("x")), COMPRESSION_NONE, 1 << 30, &j, &err), &err);
		for (int64_t there = 0; there < 1 << 30; there += 8 << 20)
			layer_job_available(j, there);
		layer_job_restart(j);
	}
	unlink(path);
}

static void after_a_death_the_next_layer_gets_a_new_process(void **state UNUSED)
{
	CLEANUP(layer_workers_unrefp) struct layer_workers *w = NULL;
	struct layer_facts facts;
	struct err err = ERR_INIT;
	char path[128];

	bad_worker_path("crashes", path, sizeof path);
	assert_ok(layer_workers_new(path, 1, &w, &err), &err);
	assert_fails(run_job(w, &facts, &err), &err, E_WORKER, "SIGSEGV");
	unlink(path);
	assert_int_equal(symlink(IMAGED_LAYER, path), 0);
	assert_fails(run_job(w, &facts, &err), &err, E_BAD_CONTENT, "not a sound tar");
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_worker_that_dies_fails_its_layer_with_the_reason),
		cmocka_unit_test(a_worker_without_its_sandbox_gets_no_layer),
		cmocka_unit_test(a_worker_that_speaks_nonsense_fails_its_layer),
		cmocka_unit_test(a_worker_that_hangs_is_ended_after_the_time_budget),
		cmocka_unit_test(a_worker_that_closes_its_socket_and_lives_on_is_killed),
		cmocka_unit_test(descriptors_of_the_worker_are_not_taken),
		cmocka_unit_test(a_count_of_a_plain_tar_that_is_not_its_size_is_nonsense),
		cmocka_unit_test(a_result_before_the_end_is_nonsense),
		cmocka_unit_test(a_worker_that_takes_no_messages_is_replaced),
		cmocka_unit_test(after_a_death_the_next_layer_gets_a_new_process),
	};

	return cmocka_run_group_tests(tests, bad_workers_setup, bad_workers_teardown);
}

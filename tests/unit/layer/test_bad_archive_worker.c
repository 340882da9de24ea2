/* What the daemon makes of an archive's worker that lies, dies or hangs. */
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "proto/runtime/clock.h"
#include "service/layer/archive.h"
#include "tests/unit/layer/bad_workers.h"

static struct layer_policy policy_with(int64_t stall_ms)
{
	struct layer_policy policy = layer_policy_default();

	policy.stall_ms = stall_ms;
	policy.limits.tar_bytes = 1 << 20;
	return policy;
}

struct expectation {
	const char *way;
	int code;
	const char *text;
};

typedef int run_fn(const char *program, const struct layer_policy *policy, struct err *err);

static void assert_all(run_fn *run, const struct expectation *cases, size_t n, int64_t stall_ms)
{
	struct layer_policy policy = policy_with(stall_ms);

	for (size_t i = 0; i < n; i++) {
		struct err err = ERR_INIT;
		char path[128];
		int rc;

		bad_worker_path(cases[i].way, path, sizeof path);
		rc = run(path, &policy, &err);
		unlink(path);
		if (rc != cases[i].code || (rc != OK && !strstr(err.text, cases[i].text)))
			failed("%s: %d '%s' instead of '%s'", cases[i].way, rc, err.text, cases[i].text);
		assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	}
}

/* ---- headers ------------------------------------------------------------------------- */

static int walk(const char *program, const struct layer_policy *policy, struct err *err)
{
	CLEANUP(tar_walk_freep) struct tar_walk *w = NULL;
	static const uint8_t block[WALK_BLOCK_BYTES];
	struct tar_step step = { 0 };
	int rc = tar_walk_new(program, policy, &w, err);

	if (rc == OK)
		rc = tar_walk_block(w, block, 0, NULL, &step, err);
	if (rc != OK)
		return rc;
	assert_int_equal(step.type, TAR_STEP_ENTRY);
	assert_string_equal(step.name, "f");
	return OK;
}

static void answers_that_cannot_be_are_nonsense(void **state UNUSED)
{
	static const struct expectation cases[] = {
		{ "walk-sound", OK, "" },
		{ "walk-old-version", E_WORKER, "nonsense: protocol version 2 where" },
		{ "walk-cut", E_WORKER, "nonsense: message of" },
		{ "walk-unknown-type", E_WORKER, "nonsense: message of unknown type 68" },
		{ "walk-other-block", E_WORKER, "nonsense: an answer to a block that it was not given" },
		{ "walk-back", E_WORKER, "nonsense: message of type 65 with a bad field" },
		{ "walk-not-a-block", E_WORKER, "nonsense: message of type 65 with a bad field" },
		{ "walk-skips", E_WORKER, "nonsense: message of type 65 with a bad field" },
		{ "walk-overflows", E_WORKER, "nonsense: message of type 65 with a bad field" },
		{ "walk-elsewhere", E_WORKER, "nonsense: message of type 65 with a bad field" },
		{ "walk-endless-name", E_WORKER, "nonsense: message of type 65 with a bad field" },
		{ "walk-long-name", E_WORKER, "nonsense: message of type 65 with a bad field" },
		{ "walk-two-names", E_WORKER, "nonsense: message of type 65 with a bad field" },
		{ "walk-file-with-target", E_WORKER, "nonsense: message of type 65 with a bad field" },
		{ "walk-directory-with-data", E_WORKER, "nonsense: message of type 65 with a bad field" },
		{ "walk-unknown-kind", E_WORKER, "nonsense: message of type 65 with a bad field" },
		{ "walk-end-with-more", E_WORKER, "nonsense: message of type 66 with a bad field" },
		{ "walk-need-back", E_WORKER, "nonsense: message of type 64 with a bad field" },
		{ "walk-foreign-code", E_WORKER, "nonsense: message of type 67 with a bad field" },
		{ "walk-control-text", E_BAD_CONTENT, "?[31mred?line" },
		{ "ready-twice", E_WORKER, "nonsense: " },
		{ "no-seccomp", E_WORKER, "imaged-layer has no sandbox: seccomp is missing" },
		{ "refuses", E_WORKER, "imaged-layer: sandbox: something is missing" },
	};

	assert_all(walk, cases, ARRAY_LEN(cases), LONG_STALL_MS);
}

static void a_walks_worker_that_dies_or_hangs_fails_it(void **state UNUSED)
{
	static const struct expectation dying[] = {
		{ "walk-crashes", E_WORKER, "imaged-layer was killed by SIGSEGV" },
		{ "exits", E_WORKER, "imaged-layer ended with exit code 3: libsomething.so.1: cannot open" },
	};
	static const struct expectation hanging[] = {
		{ "walk-stalls", E_WORKER, "makes no progress" },
		{ "silent", E_WORKER, "makes no progress" },
	};

	assert_all(walk, dying, ARRAY_LEN(dying), LONG_STALL_MS);
	assert_all(walk, hanging, ARRAY_LEN(hanging), SHORT_STALL_MS);
}

/* The second answer to one block is taken for that of the next one, and does not fit. */
static void an_answer_too_many_is_nonsense(void **state UNUSED)
{
	CLEANUP(tar_walk_freep) struct tar_walk *w = NULL;
	static const uint8_t block[WALK_BLOCK_BYTES];
	struct layer_policy policy = policy_with(LONG_STALL_MS);
	struct err err = ERR_INIT;
	struct tar_step step;
	char path[128];

	bad_worker_path("walk-two-answers", path, sizeof path);
	assert_ok(tar_walk_new(path, &policy, &w, &err), &err);
	assert_ok(tar_walk_block(w, block, 0, NULL, &step, &err), &err);
	unlink(path);
	assert_fails(tar_walk_block(w, block, step.next, NULL, &step, &err), &err, E_WORKER,
		     "nonsense: an answer to a block that it was not given");
	assert_fails(tar_walk_block(w, block, step.next, NULL, &step, &err), &err, E_WORKER,
		     "ended by an earlier failure");
}

/* ---- streams -------------------------------------------------------------------------- */

static int pump(struct inflate_filter *f, struct err *err)
{
	int64_t until = clock_monotonic_ms() + RUNAWAY_MS;
	size_t left = 100, total = 0;
	char data[4096] = { 0 };

	while (clock_monotonic_ms() < until) {
		size_t len = 0, taken = 0;
		int rc = inflate_filter_read(f, data, sizeof data, &len, err);

		total += len;
		if (rc == OK && !len) {
			assert_int_equal(total, 5);
			return OK;
		}
		if (rc == E_BUSY && left) {
			rc = inflate_filter_write(f, data, left, &taken, err);
			left -= taken;
			if (rc == OK && !left)
				inflate_filter_end(f);
		}
		if (rc == E_BUSY || (rc == OK && !len && !taken))
			rc = inflate_filter_wait(f, NULL, err);
		if (rc != OK)
			return rc;
	}
	return E_DEADLINE;
}

static int filter(const char *program, const struct layer_policy *policy, struct err *err)
{
	CLEANUP(inflate_filter_freep) struct inflate_filter *f = NULL;
	int rc = inflate_filter_new(program, policy, &f, err);

	return rc == OK ? pump(f, err) : rc;
}

static void streams_that_cannot_be_are_nonsense(void **state UNUSED)
{
	static const struct expectation cases[] = {
		{ "filter-sound", OK, "" },
		{ "filter-short", E_WORKER, "nonsense: a stream of another length than its result" },
		/* Too long, or a result that cannot be: as what is heard first. */
		{ "filter-long", E_WORKER, "imaged-layer speaks nonsense: a " },
		{ "filter-huge-result", E_WORKER, "nonsense: a result that cannot be" },
		{ "filter-other-stream", E_WORKER, "nonsense: an answer to a stream that it does not have" },
		{ "filter-progress", E_WORKER, "nonsense: a message that is not for a stream" },
		{ "filter-control-text", E_BAD_CONTENT, "?[31mred?line" },
		{ "filter-endless", E_WORKER, "nonsense: a stream that is too long" },
		{ "ready-twice", E_WORKER, "nonsense: READY twice" },
		{ "no-seccomp", E_WORKER, "imaged-layer has no sandbox: seccomp is missing" },
	};

	assert_all(filter, cases, ARRAY_LEN(cases), LONG_STALL_MS);
}

/* Before the end of the input there is none of the output. */
static void a_result_before_the_end_is_nonsense(void **state UNUSED)
{
	CLEANUP(inflate_filter_freep) struct inflate_filter *f = NULL;
	struct layer_policy policy = policy_with(LONG_STALL_MS);
	int64_t until = clock_monotonic_ms() + RUNAWAY_MS;
	struct err err = ERR_INIT;
	char path[128];
	size_t taken;
	int rc;

	bad_worker_path("filter-early-result", path, sizeof path);
	assert_ok(inflate_filter_new(path, &policy, &f, &err), &err);
	do {
		usleep(1000);
		rc = inflate_filter_write(f, "x", 1, &taken, &err);
	} while (rc == OK && clock_monotonic_ms() < until);
	unlink(path);
	assert_fails(rc, &err, E_WORKER, "nonsense: a result that cannot be");
}

static void a_streams_worker_that_dies_or_hangs_fails_it(void **state UNUSED)
{
	static const struct expectation dying[] = {
		{ "filter-crashes", E_WORKER, "imaged-layer was killed by SIGSEGV" },
		{ "filter-silent-end", E_WORKER, "imaged-layer ended with exit code 2" },
		{ "exits", E_WORKER, "imaged-layer ended with exit code 3: libsomething.so.1: cannot open" },
	};
	static const struct expectation hanging[] = {
		{ "filter-stalls", E_WORKER, "makes no progress" },
		{ "filter-closes-and-lives", E_WORKER, "makes no progress" },
		{ "filter-never-reads", E_WORKER, "makes no progress" },
		{ "silent", E_WORKER, "makes no progress" },
	};

	assert_all(filter, dying, ARRAY_LEN(dying), LONG_STALL_MS);
	assert_all(filter, hanging, ARRAY_LEN(hanging), SHORT_STALL_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_that_cannot_be_are_nonsense),
		cmocka_unit_test(a_walks_worker_that_dies_or_hangs_fails_it),
		cmocka_unit_test(an_answer_too_many_is_nonsense),
		cmocka_unit_test(streams_that_cannot_be_are_nonsense),
		cmocka_unit_test(a_result_before_the_end_is_nonsense),
		cmocka_unit_test(a_streams_worker_that_dies_or_hangs_fails_it),
	};

	signal(SIGPIPE, SIG_IGN); /* as the daemon does */
	return cmocka_run_group_tests(tests, bad_workers_setup, bad_workers_teardown);
}

/* What the daemon makes of a worker of images that lies, dies or hangs. */
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>

#include "service/layer/layer.h"
#include "tests/unit/layer/bad_workers.h"

struct run {
	struct layer_workers *workers;
	struct layer_image_facts facts;
	int image;
};

static int run_with(const char *way, int64_t stall_ms, struct run *r, struct err *err)
{
	CLEANUP(layer_job_freep) struct layer_job *j = NULL;
	struct layer_policy policy = layer_policy_default();
	struct layer_facts facts;
	char path[128];
	int rc;

	bad_worker_path(way, path, sizeof path);
	policy.stall_ms = stall_ms;
	r->image = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	assert_true(r->image >= 0);
	assert_ok(layer_workers_new(path, 1, &r->workers, err), err);
	layer_workers_set_policy(r->workers, &policy);
	rc = layer_job_start_image(r->workers, craft_fd(bytes_of("content")), r->image, COMPRESSION_NONE, 7, &j, err);
	if (rc == OK)
		rc = layer_job_finish(j, NULL, &facts, err);
	if (rc == OK)
		r->facts = *layer_job_image(j);
	unlink(path);
	return rc;
}

static void end_run(struct run *r)
{
	layer_workers_unref(r->workers);
	closep(&r->image);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void assert_fails_with(const char *way, int64_t stall_ms, int code, const char *text)
{
	struct err err = ERR_INIT;
	struct run r;
	int before = count_descriptors(), rc = run_with(way, stall_ms, &r, &err);

	if (rc != code || !strstr(err.text, text))
		failed("%s: %d '%s' instead of '%s'", way, rc, err.text, text);
	end_run(&r);
	assert_int_equal(count_descriptors(), before);
}

static void a_worker_that_speaks_nonsense_fails_its_layer(void **state UNUSED)
{
	static const struct {
		const char *way, *text;
	} cases[] = {
		{ "image-other-tar", "nonsense: an image of another tar" },
		{ "image-other-entries", "nonsense: an image of another tar" },
		{ "image-huge", "nonsense: an image that cannot be" },
		{ "image-negative", "nonsense: message of type 69 with a bad field" },
		{ "image-other-layer", "nonsense: an answer to an image that it does not make" },
		{ "image-result", "nonsense: an answer to an image that it does not make" },
		{ "image-cancels", "nonsense: an answer to an image that it does not make" },
		{ "image-goes-back", "nonsense: progress that cannot be" },
		{ "image-foreign-code", "with a bad field" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_fails_with(cases[i].way, LONG_STALL_MS, E_WORKER, cases[i].text);
}

static void its_failure_is_told_without_what_cannot_be_shown(void **state UNUSED)
{
	assert_fails_with("image-control-text", LONG_STALL_MS, E_LIMIT, "?[31mred?line");
}

/* A tar that ends too early, and a process that died while it wrote it, look the same to who reads it. */
static void why_a_stream_ended_is_not_the_readers_to_say(void **state UNUSED)
{
	assert_fails_with("image-cut-off", LONG_STALL_MS, E_BAD_CONTENT, "it ends too early");
	assert_fails_with("image-of-the-dying", LONG_STALL_MS, E_WORKER, "was killed (SIGKILL)");
}

static void a_worker_that_dies_or_hangs_fails_its_layer(void **state UNUSED)
{
	assert_fails_with("image-crashes", LONG_STALL_MS, E_WORKER, "killed by SIGSEGV");
	assert_fails_with("image-stalls", SHORT_STALL_MS, E_WORKER, "makes no progress");
	assert_fails_with("image-repeats", SHORT_STALL_MS, E_WORKER, "makes no progress");
}

static void a_sound_answer_about_nothing_is_not_accepted(void **state UNUSED)
{
	CLEANUP(closep) int accepted = -1;
	struct err err = ERR_INIT;
	char path[64];
	struct run r;
	int same;

	assert_ok(run_with("image-lies", LONG_STALL_MS, &r, &err), &err);
	snprintf(path, sizeof path, "/proc/self/fd/%d", r.image);
	same = open(path, O_RDONLY | O_CLOEXEC);
	/* While it lives it could still write, */
	assert_fails(layer_image_accept(take_fd(&r.image), &r.facts, NULL, &accepted, &err), &err, E_WORKER,
		     "open for writing");
	layer_workers_unref(TAKE(r.workers));
	/* and then there is nothing. */
	assert_fails(layer_image_accept(same, &r.facts, NULL, &accepted, &err), &err, E_CORRUPT, "a file of 0 bytes");
	end_run(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_worker_that_speaks_nonsense_fails_its_layer),
		cmocka_unit_test(its_failure_is_told_without_what_cannot_be_shown),
		cmocka_unit_test(why_a_stream_ended_is_not_the_readers_to_say),
		cmocka_unit_test(a_worker_that_dies_or_hangs_fails_its_layer),
		cmocka_unit_test(a_sound_answer_about_nothing_is_not_accepted),
	};

	return cmocka_run_group_tests(tests, bad_workers_setup, bad_workers_teardown);
}

/* Layers through the real imaged-layer. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "proto/runtime/clock.h"
#include "service/layer/layer.h"
#include "tests/unit/layer/craft.h"

#define NEW CLEANUP(buf_free) struct buf

#define WORKERS CLEANUP(layer_workers_unrefp) struct layer_workers

static struct layer_workers *new_workers(unsigned max)
{
	struct layer_workers *w = NULL;
	struct err err = ERR_INIT;

	assert_ok(layer_workers_new(IMAGED_LAYER, max, &w, &err), &err);
	return w;
}

static struct layer_job *new_job(struct layer_workers *w, struct bytes blob)
{
	struct layer_job *j = NULL;
	struct err err = ERR_INIT;

	assert_ok(layer_job_start(w, craft_fd(blob), COMPRESSION_GZIP, (int64_t)blob.len, &j, &err), &err);
	return j;
}

static int run(struct layer_workers *w, struct bytes blob, struct layer_facts *facts, struct err *err)
{
	CLEANUP(layer_job_freep) struct layer_job *j = new_job(w, blob);

	return layer_job_finish(j, NULL, facts, err);
}

static void assert_facts(const struct layer_facts *facts, struct bytes tar, int64_t entries, int64_t files_size)
{
	struct digest wanted = craft_sha256(tar);

	assert_true(digest_eq(&facts->diff_id, &wanted));
	assert_int_equal(facts->tar_size, tar.len);
	assert_int_equal(facts->entries, entries);
	assert_int_equal(facts->files_size, files_size);
	assert_int_equal(facts->worker_version, LAYER_WORKER_VERSION);
}

/* The only child of this process, or 0. */
static pid_t worker_pid(void)
{
	char path[64], text[64] = "";
	FILE *f;

	snprintf(path, sizeof path, "/proc/self/task/%d/children", gettid());
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (!fgets(text, sizeof text, f))
		text[0] = 0;
	fclose(f);
	return (pid_t)strtol(text, NULL, 10);
}

/* ---- results -------------------------------------------------------------------- */

static void each_compression_gives_the_digest_and_the_counts_of_the_tar(void **state UNUSED)
{
	WORKERS *w = new_workers(1);
	NEW tar = BUF_INIT(CRAFT_MAX);
	NEW gz = BUF_INIT(CRAFT_MAX);
	NEW zst = BUF_INIT(CRAFT_MAX);
	struct layer_facts facts;
	struct err err = ERR_INIT;

	craft_tree(&tar, 300, 20000);
	buf_puts(&tar, "bytes past the end of the archive are part of the diff ID");
	craft_gzip(&gz, buf_bytes(&tar), CRAFT_GZIP_NAME);
	craft_zstd(&zst, buf_bytes(&tar), true, 0);
	assert_ok(run(w, buf_bytes(&gz), &facts, &err), &err);
	assert_facts(&facts, buf_bytes(&tar), 300, 300 * 20000);
	assert_ok(run(w, buf_bytes(&zst), &facts, &err), &err);
	assert_facts(&facts, buf_bytes(&tar), 300, 300 * 20000);
	assert_ok(run(w, buf_bytes(&tar), &facts, &err), &err);
	assert_facts(&facts, buf_bytes(&tar), 300, 300 * 20000);
}

static int run_whole(struct layer_workers *w, struct bytes blob, struct layer_facts *facts, struct err *err)
{
	static const struct digest known = { .algorithm = DIGEST_SHA256, .bytes = { 1, 2, 3 } };
	CLEANUP(layer_job_freep) struct layer_job *j = NULL;

	assert_ok(layer_job_start_whole(w, craft_fd(blob), &known, (int64_t)blob.len, &j, err), err);
	return layer_job_finish(j, NULL, facts, err);
}

static void a_whole_plain_tar_has_the_digest_that_is_known_as_its_diff_id(void **state UNUSED)
{
	WORKERS *w = new_workers(1);
	NEW tar = BUF_INIT(CRAFT_MAX);
	NEW gz = BUF_INIT(CRAFT_MAX);
	struct layer_facts facts;
	struct err err = ERR_INIT;

	craft_tree(&tar, 300, 20000);
	craft_gzip(&gz, buf_bytes(&tar), 0);
	assert_ok(run_whole(w, buf_bytes(&tar), &facts, &err), &err);
	assert_int_equal(facts.diff_id.bytes[1], 2); /* it was not hashed */
	assert_int_equal(facts.tar_size, tar.len);
	assert_int_equal(facts.entries, 300);
	assert_int_equal(facts.files_size, 300 * 20000);
	assert_ok(run_whole(w, buf_bytes(&gz), &facts, &err), &err);
	assert_facts(&facts, buf_bytes(&tar), 300, 300 * 20000);
	assert_ok(run_whole(w, bytes_of(""), &facts, &err), &err);
	assert_fails(run_whole(w, (struct bytes){ tar.data, 10000 }, &facts, &err), &err, E_BAD_CONTENT, "");
}

static void an_empty_blob_is_an_empty_layer(void **state UNUSED)
{
	WORKERS *w = new_workers(1);
	struct layer_facts facts;
	struct err err = ERR_INIT;

	assert_ok(run(w, bytes_of(""), &facts, &err), &err);
	assert_facts(&facts, bytes_of(""), 0, 0);
}

static void bytes_past_those_announced_are_not_read(void **state UNUSED)
{
	enum { PIECE = 100000 };
	WORKERS *w = new_workers(1);
	CLEANUP(layer_job_freep) struct layer_job *j = NULL;
	NEW tar = BUF_INIT(CRAFT_MAX);
	NEW gz = BUF_INIT(CRAFT_MAX);
	NEW junk = BUF_INIT(CRAFT_MAX);
	struct layer_facts facts;
	struct err err = ERR_INIT;
	int fd, writer;

	craft_tree(&tar, 200, 50000);
	craft_gzip(&gz, buf_bytes(&tar), 0);
	assert_true(gz.len > 4 << 20); /* several AVAILABLE */
	craft_data(&junk, gz.len);
	fd = craft_growing_fd(&writer);
	assert_int_equal(pwrite(writer, junk.data, gz.len, 0), gz.len);
	assert_ok(layer_job_start(w, fd, COMPRESSION_GZIP, (int64_t)gz.len, &j, &err), &err);
	for (size_t at = 0; at < gz.len; at += PIECE) {
		size_t n = gz.len - at < PIECE ? gz.len - at : PIECE;

		assert_int_equal(pwrite(writer, gz.data + at, n, (off_t)at), n);
		layer_job_available(j, (int64_t)(at + n));
		while (is_busy(worker_pid())) /* it reads as far as it believes it may */
			sched_yield();
	}
	close(writer);
	assert_ok(layer_job_finish(j, NULL, &facts, &err), &err);
	assert_facts(&facts, buf_bytes(&tar), 200, 200 * 50000);
}

/* ---- bad content ------------------------------------------------------------------ */

static void bad_layers_are_refused_and_the_worker_goes_on(void **state UNUSED)
{
	WORKERS *w = new_workers(1);
	NEW tar = BUF_INIT(CRAFT_MAX);
	NEW gz = BUF_INIT(CRAFT_MAX);
	NEW broken = BUF_INIT(CRAFT_MAX);
	struct layer_facts facts;
	struct err err = ERR_INIT;
	pid_t pid;

	craft_tree(&tar, 10, 2000);
	craft_gzip(&gz, buf_bytes(&tar), 0);
	assert_ok(run(w, buf_bytes(&gz), &facts, &err), &err);
	pid = worker_pid();
	assert_fails(run(w, (struct bytes){ gz.data, gz.len - 1 }, &facts, &err), &err, E_BAD_CONTENT, "truncated");
	assert_fails(run(w, (struct bytes){ tar.data, 1000 }, &facts, &err), &err, E_BAD_CONTENT, "middle of an entry");
	assert_fails(run(w, bytes_of("<html>404</html>"), &facts, &err), &err, E_BAD_CONTENT,
		     "layer is not compressed, though its media type says so: layer is not a sound tar");
	assert_fails(run(w, bytes_of("BZh91AY&SY"), &facts, &err), &err, E_UNSUPPORTED, "bzip2");
	tar.data[512 * 3] ^= 1;
	craft_gzip(&broken, buf_bytes(&tar), 0);
	tar.data[512 * 3] ^= 1;
	assert_ok(run(w, buf_bytes(&broken), &facts, &err), &err); /* within a file: another digest, a sound tar */
	broken.len = 0;
	tar.data[148] ^= 1;
	craft_gzip(&broken, buf_bytes(&tar), 0);
	assert_fails(run(w, buf_bytes(&broken), &facts, &err), &err, E_BAD_CONTENT, "wrong checksum at byte 0");
	tar.data[148] ^= 1;
	assert_ok(run(w, buf_bytes(&gz), &facts, &err), &err);
	assert_facts(&facts, buf_bytes(&tar), 10, 20000);
	assert_int_equal(worker_pid(), pid);
}

static int run_with_limits(struct layer_limits limits, struct bytes blob, struct err *err)
{
	WORKERS *w = new_workers(1);
	struct layer_policy policy = layer_policy_default();
	struct layer_facts facts;

	policy.limits = limits;
	layer_workers_set_policy(w, &policy);
	return run(w, blob, &facts, err);
}

static void bombs_end_at_the_limits(void **state UNUSED)
{
	struct layer_limits limits = layer_policy_default().limits, one;
	NEW tar = BUF_INIT(CRAFT_MAX);
	NEW gz = BUF_INIT(CRAFT_MAX);
	struct err err = ERR_INIT;

	craft_header(&tar, &(struct craft_entry){ .name = "zeros", .type = '0', .size = 200 << 20 });
	craft_zeros(&tar, 200 << 20);
	craft_end(&tar);
	craft_gzip(&gz, buf_bytes(&tar), 0);
	one = limits;
	one.ratio = 20;
	assert_fails(run_with_limits(one, buf_bytes(&gz), &err), &err, E_LIMIT, "more than 20 times its size");
	one = limits;
	one.tar_bytes = 100 << 20;
	assert_fails(run_with_limits(one, buf_bytes(&gz), &err), &err, E_LIMIT, "limit is 104857600");
	tar.len = gz.len = 0;
	craft_tree(&tar, 101, 0);
	one = limits;
	one.entries = 100;
	assert_fails(run_with_limits(one, buf_bytes(&tar), &err), &err, E_LIMIT, "more than 100 entries");
	one.entries = 101;
	assert_ok(run_with_limits(one, buf_bytes(&tar), &err), &err);
}

static void a_long_stream_ends_at_the_limit_of_the_tar(void **state UNUSED)
{
	struct layer_limits limits = layer_policy_default().limits;
	NEW tar = BUF_INIT(CRAFT_MAX);
	struct err err = ERR_INIT;

	craft_tree(&tar, 100, 1 << 20);
	limits.tar_bytes = 50 << 20;
	assert_fails(run_with_limits(limits, buf_bytes(&tar), &err), &err, E_LIMIT,
		     "larger than 52428800 bytes when decompressed");
}

static void a_failure_is_known_before_the_blob_is_complete(void **state UNUSED)
{
	WORKERS *w = new_workers(1);
	CLEANUP(layer_job_freep) struct layer_job *j = NULL;
	NEW junk = BUF_INIT(CRAFT_MAX);
	struct err err = ERR_INIT;
	int64_t until = clock_monotonic_ms() + 30000;

	craft_data(&junk, 40 << 20);
	j = new_job(w, buf_bytes(&junk));
	layer_job_available(j, 1 << 20);
	while (layer_job_check(j, &err) == OK && clock_monotonic_ms() < until)
		usleep(1000);
	assert_fails(layer_job_check(j, &err), &err, E_BAD_CONTENT, "not a sound tar");
}

/* ---- restart, cancel, death --------------------------------------------------------- */

static void a_job_begins_again_after_bad_bytes(void **state UNUSED)
{
	WORKERS *w = new_workers(1);
	CLEANUP(layer_job_freep) struct layer_job *j = NULL;
	NEW tar = BUF_INIT(CRAFT_MAX);
	NEW gz = BUF_INIT(CRAFT_MAX);
	NEW junk = BUF_INIT(CRAFT_MAX);
	struct layer_facts facts;
	struct err err = ERR_INIT;
	int fd, writer;

	craft_tree(&tar, 2000, 3000);
	craft_gzip(&gz, buf_bytes(&tar), 0);
	craft_data(&junk, gz.len);
	fd = craft_growing_fd(&writer);
	assert_ok(layer_job_start(w, fd, COMPRESSION_GZIP, (int64_t)gz.len, &j, &err), &err);
	/* in the middle of good bytes, */
	assert_int_equal(pwrite(writer, gz.data, gz.len / 2, 0), gz.len / 2);
	layer_job_available(j, (int64_t)gz.len / 2);
	layer_job_restart(j);
	/* after a failure, */
	assert_int_equal(pwrite(writer, junk.data, gz.len, 0), gz.len);
	assert_fails(layer_job_finish(j, NULL, &facts, &err), &err, E_BAD_CONTENT, "not a sound tar");
	layer_job_restart(j);
	assert_ok(layer_job_check(j, &err), &err);
	/* and after a result */
	assert_int_equal(pwrite(writer, gz.data, gz.len, 0), gz.len);
	assert_ok(layer_job_finish(j, NULL, &facts, &err), &err);
	assert_facts(&facts, buf_bytes(&tar), 2000, 2000 * 3000);
	layer_job_restart(j);
	layer_job_available(j, (int64_t)gz.len);
	memset(&facts, 0, sizeof facts);
	assert_ok(layer_job_finish(j, NULL, &facts, &err), &err);
	assert_facts(&facts, buf_bytes(&tar), 2000, 2000 * 3000);
	close(writer);
}

static void *fire(void *arg)
{
	while (is_busy(getpid())) /* the main thread is not in its wait */
		sched_yield();
	cancel_fire(arg, E_DEADLINE);
	return NULL;
}

/* The worker waits for bytes that never come: another job holds it. */
static void a_cancel_ends_the_wait_and_the_worker_serves_the_next_layer(void **state UNUSED)
{
	WORKERS *w = new_workers(1);
	CLEANUP(cancel_unrefp) struct cancel *cancel = cancel_new();
	CLEANUP(layer_job_freep) struct layer_job *holder = NULL;
	NEW tar = BUF_INIT(CRAFT_MAX);
	struct layer_facts facts;
	struct err err = ERR_INIT;
	struct layer_job *queued;
	pthread_t thread;
	pid_t pid;

	craft_tree(&tar, 10, 1000);
	holder = new_job(w, buf_bytes(&tar));
	queued = new_job(w, buf_bytes(&tar));
	pid = worker_pid();
	assert_int_equal(pthread_create(&thread, NULL, fire, cancel), 0);
	assert_fails(layer_job_finish(queued, cancel, &facts, &err), &err, E_DEADLINE, "deadline");
	pthread_join(thread, NULL);
	layer_job_free(queued);
	layer_job_free(TAKE(holder));
	assert_ok(run(w, buf_bytes(&tar), &facts, &err), &err);
	assert_facts(&facts, buf_bytes(&tar), 10, 10000);
	assert_int_equal(worker_pid(), pid);
}

static void a_cancel_that_came_before_is_seen_at_once(void **state UNUSED)
{
	WORKERS *w = new_workers(1);
	CLEANUP(cancel_unrefp) struct cancel *cancel = cancel_new();
	CLEANUP(layer_job_freep) struct layer_job *j = NULL;
	NEW tar = BUF_INIT(CRAFT_MAX);
	struct layer_facts facts;
	struct err err = ERR_INIT;

	craft_tree(&tar, 100, 1 << 20);
	cancel_fire(cancel, E_CANCELLED);
	j = new_job(w, buf_bytes(&tar));
	assert_fails(layer_job_finish(j, cancel, &facts, &err), &err, E_CANCELLED, "cancelled");
}

static void a_worker_killed_between_layers_is_replaced_silently(void **state UNUSED)
{
	WORKERS *w = new_workers(1);
	NEW tar = BUF_INIT(CRAFT_MAX);
	struct layer_facts facts;
	struct err err = ERR_INIT;
	siginfo_t info;
	pid_t pid;

	craft_tree(&tar, 10, 1000);
	assert_ok(run(w, buf_bytes(&tar), &facts, &err), &err);
	pid = worker_pid();
	if (!pid) {
		print_message("          this kernel does not list children: skipped\n");
		skip();
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_ok(run(w, buf_bytes(&tar), &facts, &err), &err);
	assert_int_not_equal(worker_pid(), pid);
}

static void a_worker_killed_within_a_layer_fails_it(void **state UNUSED)
{
	WORKERS *w = new_workers(1);
	CLEANUP(layer_job_freep) struct layer_job *j = NULL;
	NEW tar = BUF_INIT(CRAFT_MAX);
	struct layer_facts facts;
	struct err err = ERR_INIT;
	pid_t pid;

	craft_tree(&tar, 10, 1000);
	j = new_job(w, buf_bytes(&tar));
	pid = worker_pid();
	if (!pid) {
		print_message("          this kernel does not list children: skipped\n");
		skip();
	}
	kill(pid, SIGKILL);
	assert_fails(layer_job_finish(j, NULL, &facts, &err), &err, E_WORKER, "was killed (SIGKILL)");
	layer_job_restart(j);
	assert_ok(layer_job_finish(j, NULL, &facts, &err), &err);
	assert_facts(&facts, buf_bytes(&tar), 10, 10000);
}

static void a_file_shorter_than_the_blob_fails_the_layer(void **state UNUSED)
{
	WORKERS *w = new_workers(1);
	CLEANUP(layer_job_freep) struct layer_job *j = NULL;
	NEW tar = BUF_INIT(CRAFT_MAX);
	struct layer_facts facts;
	struct err err = ERR_INIT;

	craft_tree(&tar, 10, 1000);
	assert_ok(layer_job_start(w, craft_fd(buf_bytes(&tar)), COMPRESSION_NONE, (int64_t)tar.len + 1, &j, &err),
		  &err);
	assert_fails(layer_job_finish(j, NULL, &facts, &err), &err, E_IO, "shorter");
}

/* ---- the daemon's own state --------------------------------------------------------- */

/* A daemon in a child, killed while its worker waits for bytes; the worker then is
 * handed to us, and must have ended by itself. */
static void a_worker_ends_with_its_daemon(void **state UNUSED)
{
	int ready[2], status;
	pid_t daemon;
	char c;

	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	assert_int_equal(pipe(ready), 0);
	daemon = fork();
	assert_true(daemon >= 0);
	if (!daemon) {
		struct layer_workers *w = new_workers(1);
		struct layer_job *j = new_job(w, bytes_of("some bytes"));

		layer_job_available(j, 5);
		if (write(ready[1], "r", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	kill(daemon, SIGKILL);
	assert_int_equal(waitpid(daemon, &status, 0), daemon);
	assert_true(waitpid(-1, &status, 0) > 0);
	assert_true(WIFEXITED(status)); /* with 1 when it had not yet said READY */
	close(ready[0]);
	close(ready[1]);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0), 0);
}

static void a_daemon_without_standard_descriptors_starts_workers(void **state UNUSED)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		char text[256];

		closefrom(0);
		_exit(layer_probe(IMAGED_LAYER, text, sizeof text, NULL) == OK ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* ---- many ---------------------------------------------------------------------------- */

enum { THREADS = 6, LAYERS_EACH = 10 };

struct puller {
	pthread_t thread;
	struct layer_workers *workers;
	unsigned files;
	bool good;
};

static bool facts_are(const struct layer_facts *facts, struct bytes tar)
{
	struct digest wanted;

	digest_of(DIGEST_SHA256, tar, &wanted);
	return digest_eq(&facts->diff_id, &wanted) && facts->tar_size == (int64_t)tar.len;
}

static void *pull_layers(void *arg)
{
	struct puller *p = arg;

	p->good = true;
	for (unsigned i = 0; i < LAYERS_EACH; i++) {
		NEW tar = BUF_INIT(CRAFT_MAX);
		CLEANUP(layer_job_freep) struct layer_job *j = NULL;
		struct layer_facts facts;

		craft_tree(&tar, p->files + i, 500);
		if (layer_job_start(p->workers, craft_fd(buf_bytes(&tar)), COMPRESSION_NONE, (int64_t)tar.len, &j,
				    NULL))
			p->good = false;
		else if (i % 4 == 3)
			continue; /* is dropped again */
		else if (layer_job_finish(j, NULL, &facts, NULL) || !facts_are(&facts, buf_bytes(&tar)))
			p->good = false;
	}
	return NULL;
}

static void queued_jobs_are_served_whoever_frees_a_worker(void **state UNUSED)
{
	int before = count_descriptors();
	WORKERS *w = new_workers(2);
	struct puller pullers[THREADS];

	for (unsigned i = 0; i < THREADS; i++) {
		pullers[i] = (struct puller){ .workers = w, .files = 10 * i };
		assert_int_equal(pthread_create(&pullers[i].thread, NULL, pull_layers, &pullers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(pullers[i].thread, NULL);
		assert_true(pullers[i].good);
	}
	layer_workers_unref(TAKE(w));
	assert_int_equal(count_descriptors(), before);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void sixty_tiny_layers_go_through_one_worker(void **state UNUSED)
{
	WORKERS *w = new_workers(1);
	NEW tar = BUF_INIT(CRAFT_MAX);
	NEW gz = BUF_INIT(CRAFT_MAX);
	struct layer_facts facts;
	struct err err = ERR_INIT;
	pid_t first;

	craft_tree(&tar, 1, 100);
	craft_gzip(&gz, buf_bytes(&tar), 0);
	assert_ok(run(w, buf_bytes(&gz), &facts, &err), &err);
	first = worker_pid();
	assert_int_not_equal(first, 0);
	for (int i = 1; i < 60; i++) {
		assert_ok(run(w, buf_bytes(&gz), &facts, &err), &err);
		assert_int_equal(worker_pid(), first);
	}
}

/* ---- what cannot start ----------------------------------------------------------------- */

static void a_missing_program_is_named(void **state UNUSED)
{
	struct layer_workers *w = NULL;
	struct layer_job *j = NULL;
	struct err err = ERR_INIT;
	char text[64];

	assert_fails(layer_probe("/nowhere/imaged-layer", text, sizeof text, &err), &err, E_WORKER,
		     "cannot start /nowhere/imaged-layer: No such file");
	assert_ok(layer_workers_new("/nowhere/imaged-layer", 1, &w, &err), &err);
	assert_fails(layer_job_start(w, craft_fd(bytes_of("x")), COMPRESSION_NONE, 1, &j, &err), &err, E_WORKER,
		     "cannot start");
	layer_workers_unref(w);
	assert_fails(layer_probe("/dev/null", text, sizeof text, &err), &err, E_WORKER, "Permission denied");
	assert_fails(layer_probe("/bin/true", text, sizeof text, &err), &err, E_WORKER, "exit code 0");
}

static void a_writable_descriptor_is_refused(void **state UNUSED)
{
	WORKERS *w = new_workers(1);
	struct layer_job *j = NULL;
	struct err err = ERR_INIT;
	int writer, reader = craft_growing_fd(&writer);

	close(reader);
	assert_fails(layer_job_start(w, writer, COMPRESSION_NONE, 0, &j, &err), &err, E_INTERNAL, "read-only");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_compression_gives_the_digest_and_the_counts_of_the_tar),
		cmocka_unit_test(a_whole_plain_tar_has_the_digest_that_is_known_as_its_diff_id),
		cmocka_unit_test(an_empty_blob_is_an_empty_layer),
		cmocka_unit_test(bytes_past_those_announced_are_not_read),
		cmocka_unit_test(bad_layers_are_refused_and_the_worker_goes_on),
		cmocka_unit_test(bombs_end_at_the_limits),
		cmocka_unit_test(a_long_stream_ends_at_the_limit_of_the_tar),
		cmocka_unit_test(a_failure_is_known_before_the_blob_is_complete),
		cmocka_unit_test(a_job_begins_again_after_bad_bytes),
		cmocka_unit_test(a_cancel_ends_the_wait_and_the_worker_serves_the_next_layer),
		cmocka_unit_test(a_cancel_that_came_before_is_seen_at_once),
		cmocka_unit_test(a_worker_killed_between_layers_is_replaced_silently),
		cmocka_unit_test(a_worker_killed_within_a_layer_fails_it),
		cmocka_unit_test(a_file_shorter_than_the_blob_fails_the_layer),
		cmocka_unit_test(a_worker_ends_with_its_daemon),
		cmocka_unit_test(a_daemon_without_standard_descriptors_starts_workers),
		cmocka_unit_test(queued_jobs_are_served_whoever_frees_a_worker),
		cmocka_unit_test(sixty_tiny_layers_go_through_one_worker),
		cmocka_unit_test(a_missing_program_is_named),
		cmocka_unit_test(a_writable_descriptor_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

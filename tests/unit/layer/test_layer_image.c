/* Images of layers through the real workers: one inflates, another one writes. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "service/layer/erofs/format.h"
#include "service/layer/erofs/writer.h"
#include "service/layer/layer.h"
#include "tests/unit/layer/craft.h"

#define NEW CLEANUP(buf_free) struct buf
#define WORKERS CLEANUP(layer_workers_unrefp) struct layer_workers
#define FD CLEANUP(closep) int

static struct layer_workers *new_workers(unsigned max)
{
	struct layer_workers *w = NULL;
	struct err err = ERR_INIT;

	assert_ok(layer_workers_new(IMAGED_LAYER, max, &w, &err), &err);
	return w;
}

static int new_file(void)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return fd;
}

static struct layer_job *new_job(struct layer_workers *w, struct bytes blob, int image)
{
	struct layer_job *j = NULL;
	struct err err = ERR_INIT;

	assert_ok(layer_job_start_image(w, craft_fd(blob), image, COMPRESSION_GZIP, (int64_t)blob.len, &j, &err), &err);
	return j;
}

static int run(struct layer_workers *w, struct bytes blob, int image, struct layer_image_facts *facts, struct err *err)
{
	CLEANUP(layer_job_freep) struct layer_job *j = new_job(w, blob, image);
	struct layer_facts layer;
	int rc = layer_job_finish(j, NULL, &layer, err);

	*facts = *layer_job_image(j);
	return rc;
}

/* The image that a writer in this process makes of a tar. */
static int image_of(struct bytes tar, struct erofs_result *result)
{
	CLEANUP(erofs_writer_freep) struct erofs_writer *w = NULL;
	struct erofs_limits limits = erofs_limits_default();
	struct err err = ERR_INIT;
	int fd = new_file();

	assert_ok(erofs_writer_new(fd, &limits, &w, &err), &err);
	assert_ok(erofs_writer_feed(w, tar.data, tar.len, &err), &err);
	assert_ok(erofs_writer_finish(w, result, &err), &err);
	return fd;
}

static void assert_same_bytes(int a, int b)
{
	struct stat x, y;
	void *p, *q;

	assert_int_equal(fstat(a, &x), 0);
	assert_int_equal(fstat(b, &y), 0);
	assert_int_equal(x.st_size, y.st_size);
	p = mmap(NULL, (size_t)x.st_size, PROT_READ, MAP_PRIVATE, a, 0);
	q = mmap(NULL, (size_t)x.st_size, PROT_READ, MAP_PRIVATE, b, 0);
	assert_true(p != MAP_FAILED && q != MAP_FAILED);
	assert_memory_equal(p, q, (size_t)x.st_size);
	munmap(p, (size_t)x.st_size);
	munmap(q, (size_t)x.st_size);
}

/* Children of this thread, the oldest first. */
static size_t children(pid_t *pids, size_t max)
{
	char path[64], text[256] = "", *at = text;
	size_t n = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/self/task/%d/children", gettid());
	f = fopen(path, "re");
	assert_non_null(f);
	if (!fgets(text, sizeof text, f))
		text[0] = 0;
	fclose(f);
	while (*at && n < max) {
		pids[n] = (pid_t)strtol(at, &at, 10);
		if (pids[n])
			n++;
		while (*at == ' ')
			at++;
	}
	return n;
}

/* ---- results -------------------------------------------------------------------- */

static void every_compression_gives_the_same_image(void **state UNUSED)
{
	WORKERS *w = new_workers(1);
	NEW tar = BUF_INIT(CRAFT_MAX);
	NEW gz = BUF_INIT(CRAFT_MAX);
	NEW zst = BUF_INIT(CRAFT_MAX);
	struct erofs_result wanted;
	struct err err = ERR_INIT;

	craft_tree(&tar, 500, 20000);
	craft_gzip(&gz, buf_bytes(&tar), 0);
	craft_zstd(&zst, buf_bytes(&tar), true, 0);
	FD own = image_of(buf_bytes(&tar), &wanted);
	for (size_t i = 0; i < 3; i++) {
		struct buf *blob = i == 0 ? &tar : i == 1 ? &gz : &zst;
		struct layer_image_facts facts;
		FD made = new_file();
		FD accepted = -1;

		assert_ok(run(w, buf_bytes(blob), made, &facts, &err), &err);
		assert_int_equal(facts.image_size, wanted.image_bytes);
		assert_int_equal(facts.inodes, wanted.inodes);
		assert_ok(layer_image_accept(take_fd(&made), &facts, NULL, &accepted, &err), &err);
		assert_same_bytes(own, accepted);
	}
}

static void two_processes_serve_all_layers_of_a_pull(void **state UNUSED)
{
	WORKERS *w = new_workers(1);
	NEW tar = BUF_INIT(CRAFT_MAX);
	struct layer_image_facts facts;
	struct err err = ERR_INIT;
	pid_t before[8], after[8];

	craft_tree(&tar, 10, 1000);
	FD first = new_file();
	assert_ok(run(w, buf_bytes(&tar), first, &facts, &err), &err);
	assert_int_equal(children(before, ARRAY_LEN(before)), 2);
	for (int i = 0; i < 20; i++) {
		FD next = new_file();

		assert_ok(run(w, buf_bytes(&tar), next, &facts, &err), &err);
		assert_same_bytes(first, next);
	}
	assert_int_equal(children(after, ARRAY_LEN(after)), 2);
	assert_memory_equal(before, after, 2 * sizeof before[0]);
}

static void an_empty_layer_has_an_image_too(void **state UNUSED)
{
	WORKERS *w = new_workers(1);
	FD made = new_file();
	FD accepted = -1;
	struct layer_image_facts facts;
	struct err err = ERR_INIT;

	assert_ok(run(w, bytes_of(""), made, &facts, &err), &err);
	assert_int_equal(facts.inodes, 1);
	assert_ok(layer_image_accept(take_fd(&made), &facts, NULL, &accepted, &err), &err);
}

static void the_image_is_made_while_the_layer_still_grows(void **state UNUSED)
{
	enum { PIECE = 1 << 20 };
	WORKERS *w = new_workers(1);
	CLEANUP(layer_job_freep) struct layer_job *j = NULL;
	NEW tar = BUF_INIT(CRAFT_MAX);
	struct layer_facts facts;
	struct err err = ERR_INIT;
	struct stat s = { 0 };
	int reader, writer;

	craft_tree(&tar, 300, 100000);
	reader = craft_growing_fd(&writer);
	FD image = new_file();
	assert_ok(layer_job_start_image(w, reader, image, COMPRESSION_NONE, (int64_t)tar.len, &j, &err), &err);
	for (size_t at = 0; at < tar.len - PIECE; at += PIECE) {
		assert_int_equal(pwrite(writer, tar.data + at, PIECE, (off_t)at), PIECE);
		layer_job_available(j, (int64_t)(at + PIECE));
	}
	while (!s.st_size)
		assert_int_equal(fstat(image, &s), 0);
	assert_int_equal(pwrite(writer, tar.data, tar.len, 0), tar.len);
	close(writer);
	assert_ok(layer_job_finish(j, NULL, &facts, &err), &err);
	assert_int_equal(facts.entries, 300);
}

/* ---- what goes wrong ---------------------------------------------------------------- */

static void a_layer_of_which_no_image_can_be_made_fails_and_the_next_one_does_not(void **state UNUSED)
{
	WORKERS *w = new_workers(1);
	NEW good = BUF_INIT(CRAFT_MAX);
	NEW bad = BUF_INIT(CRAFT_MAX);
	struct layer_image_facts facts;
	struct err err = ERR_INIT;

	craft_tree(&good, 10, 1000);
	craft_file(&bad, "../out", 100);
	craft_tree(&bad, 3000, 10000); /* more than the pipe holds */
	for (int i = 0; i < 3; i++) {
		FD made = new_file();
		FD next = new_file();

		assert_fails(run(w, buf_bytes(&bad), made, &facts, &err), &err, E_BAD_CONTENT, "leads out");
		assert_ok(run(w, buf_bytes(&good), next, &facts, &err), &err);
	}
}

static void what_the_other_worker_finds_bad_gives_no_image_either(void **state UNUSED)
{
	WORKERS *w = new_workers(1);
	NEW tar = BUF_INIT(CRAFT_MAX);
	NEW gz = BUF_INIT(CRAFT_MAX);
	struct layer_image_facts facts;
	struct err err = ERR_INIT;

	craft_tree(&tar, 100, 50000);
	craft_gzip(&gz, buf_bytes(&tar), 0);
	for (int i = 0; i < 3; i++) {
		FD made = new_file();
		FD next = new_file();

		assert_fails(run(w, (struct bytes){ gz.data, gz.len - 10 }, made, &facts, &err), &err, E_BAD_CONTENT,
			     "");
		assert_ok(run(w, buf_bytes(&gz), next, &facts, &err), &err);
	}
}

static void limits_of_images_count(void **state UNUSED)
{
	WORKERS *w = new_workers(1);
	struct layer_policy policy = layer_policy_default();
	NEW tar = BUF_INIT(CRAFT_MAX);
	struct layer_image_facts facts;
	struct err err = ERR_INIT;
	FD made = new_file();

	craft_tree(&tar, 100, 5000);
	policy.image_limits.image_bytes = 100000;
	layer_workers_set_policy(w, &policy);
	assert_fails(run(w, buf_bytes(&tar), made, &facts, &err), &err, E_LIMIT, "image of more than 100000 bytes");
}

static void a_job_begins_its_image_again_after_bad_bytes(void **state UNUSED)
{
	WORKERS *w = new_workers(1);
	CLEANUP(layer_job_freep) struct layer_job *j = NULL;
	NEW tar = BUF_INIT(CRAFT_MAX);
	struct erofs_result wanted;
	struct layer_facts facts;
	struct err err = ERR_INIT;
	int reader, writer;

	craft_tree(&tar, 200, 50000);
	FD own = image_of(buf_bytes(&tar), &wanted);
	reader = craft_growing_fd(&writer);
	FD image = new_file();
	assert_ok(layer_job_start_image(w, reader, image, COMPRESSION_NONE, (int64_t)tar.len, &j, &err), &err);
	assert_int_equal(pwrite(writer, tar.data, tar.len, 0), tar.len);
	layer_job_available(j, (int64_t)tar.len / 2);
	layer_job_restart(j);
	assert_ok(layer_job_finish(j, NULL, &facts, &err), &err);
	assert_same_bytes(own, image);
	layer_job_restart(j);
	layer_job_available(j, (int64_t)tar.len);
	assert_ok(layer_job_finish(j, NULL, &facts, &err), &err);
	assert_same_bytes(own, image);
	close(writer);
}

/* The job waits for more bytes, its worker for more of the tar. */
static void a_worker_that_is_killed_fails_its_layer_only(void **state UNUSED)
{
	for (size_t victim = 0; victim < 2; victim++) {
		WORKERS *w = new_workers(1);
		CLEANUP(layer_job_freep) struct layer_job *j = NULL;
		NEW tar = BUF_INIT(CRAFT_MAX);
		struct layer_image_facts image_facts;
		struct layer_facts facts;
		struct err err = ERR_INIT;
		pid_t pids[8];

		craft_tree(&tar, 100, 10000);
		FD image = new_file();
		FD next = new_file();
		j = new_job(w, buf_bytes(&tar), image);
		layer_job_available(j, (int64_t)tar.len / 2);
		assert_int_equal(children(pids, ARRAY_LEN(pids)), 2);
		kill(pids[victim], SIGKILL);
		assert_fails(layer_job_finish(j, NULL, &facts, &err), &err, E_WORKER, "SIGKILL");
		layer_job_free(TAKE(j));
		assert_ok(run(w, buf_bytes(&tar), next, &image_facts, &err), &err);
	}
}

static void a_job_that_is_dropped_leaves_no_writer_behind(void **state UNUSED)
{
	WORKERS *w = new_workers(1);
	NEW tar = BUF_INIT(CRAFT_MAX);
	struct layer_image_facts facts;
	struct err err = ERR_INIT;
	struct layer_job *j;

	craft_tree(&tar, 1000, 10000);
	FD image = new_file();
	FD next = new_file();
	j = new_job(w, buf_bytes(&tar), image);
	layer_job_available(j, (int64_t)tar.len / 2);
	layer_job_free(j);
	assert_ok(run(w, buf_bytes(&tar), next, &facts, &err), &err);
}

/* ---- acceptance ------------------------------------------------------------------------ */

static void an_image_that_somebody_can_still_write_is_not_accepted(void **state UNUSED)
{
	WORKERS *w = new_workers(1);
	NEW tar = BUF_INIT(CRAFT_MAX);
	struct layer_image_facts facts;
	struct err err = ERR_INIT;
	FD made = new_file();
	FD accepted = -1;
	FD other = -1;
	void *mapped;

	craft_tree(&tar, 10, 1000);
	assert_ok(run(w, buf_bytes(&tar), made, &facts, &err), &err);
	other = fcntl(made, F_DUPFD_CLOEXEC, 0);
	assert_fails(layer_image_accept(take_fd(&made), &facts, NULL, &accepted, &err), &err, E_WORKER,
		     "open for writing");
	mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, other, 0);
	assert_true(mapped != MAP_FAILED);
	assert_fails(layer_image_accept(take_fd(&other), &facts, NULL, &accepted, &err), &err, E_WORKER,
		     "open for writing");
	munmap(mapped, 4096);
}

static void an_image_that_is_not_sound_is_not_accepted(void **state UNUSED)
{
	WORKERS *w = new_workers(1);
	NEW tar = BUF_INIT(CRAFT_MAX);
	struct layer_image_facts facts;
	struct err err = ERR_INIT;
	FD made = new_file();
	FD accepted = -1;

	craft_tree(&tar, 10, 1000);
	assert_ok(run(w, buf_bytes(&tar), made, &facts, &err), &err);
	assert_int_equal(pwrite(made, "?", 1, EROFS_ROOT_OFFSET), 1);
	assert_fails(layer_image_accept(take_fd(&made), &facts, NULL, &accepted, &err), &err, E_CORRUPT, "checksum");
	made = new_file();
	assert_ok(run(w, buf_bytes(&tar), made, &facts, &err), &err);
	facts.image_size -= 4096;
	assert_fails(layer_image_accept(take_fd(&made), &facts, NULL, &accepted, &err), &err, E_CORRUPT, "not what");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_compression_gives_the_same_image),
		cmocka_unit_test(two_processes_serve_all_layers_of_a_pull),
		cmocka_unit_test(an_empty_layer_has_an_image_too),
		cmocka_unit_test(the_image_is_made_while_the_layer_still_grows),
		cmocka_unit_test(a_layer_of_which_no_image_can_be_made_fails_and_the_next_one_does_not),
		cmocka_unit_test(what_the_other_worker_finds_bad_gives_no_image_either),
		cmocka_unit_test(limits_of_images_count),
		cmocka_unit_test(a_job_begins_its_image_again_after_bad_bytes),
		cmocka_unit_test(a_worker_that_is_killed_fails_its_layer_only),
		cmocka_unit_test(a_job_that_is_dropped_leaves_no_writer_behind),
		cmocka_unit_test(an_image_that_somebody_can_still_write_is_not_accepted),
		cmocka_unit_test(an_image_that_is_not_sound_is_not_accepted),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Images of layers on demand. */
#include "service/image/layer_files.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "store/image/layer.h"
#include "tests/unit/layer/craft.h"
#undef assert_ok /* the fixture has one of its own */
#include "tests/unit/store/fixture.h"

enum { CALLERS = 6, VERSION = 1 };

struct layer {
	struct digest blob, diff_id;
};

/* A layer of an older store: blob and record, and no image. */
static struct layer put_layer(struct store *s, const struct buf *tar, bool compressed)
{
	CLEANUP(buf_free) struct buf gz = BUF_INIT(CRAFT_MAX);
	struct layer l = { .diff_id = craft_sha256(buf_bytes(tar)) };
	struct descriptor descriptor = { .size = 0 };
	struct layer_facts facts = { .diff_id = l.diff_id, .worker_version = 1 };
	struct ingest *ingest = NULL;
	struct err err = ERR_INIT;
	struct bytes data = buf_bytes(tar);

	if (compressed) {
		craft_gzip(&gz, data, 0);
		data = buf_bytes(&gz);
	}
	l.blob = craft_sha256(data);
	assert_ok(ingest_bytes(s, &l.blob, data, &ingest, &err), &err);
	assert_ok(content_commit(s, &ingest, 1, &err), &err);
	ingest_unref(ingest);
	descriptor.digest = l.blob;
	assert_ok(layer_facts_put(s, &descriptor, &facts, 1, &err), &err);
	return l;
}

static struct layer put_tree(struct store *s, unsigned files, bool compressed)
{
	CLEANUP(buf_free) struct buf tar = BUF_INIT(CRAFT_MAX);

	craft_tree(&tar, files, 3000);
	return put_layer(s, &tar, compressed);
}

static struct layer_files *new_files(struct store *s)
{
	struct layer_files *f = NULL;
	struct err err = ERR_INIT;

	assert_ok(layer_files_new(s, IMAGED_LAYER, &f, &err), &err);
	return f;
}

/* ---- one caller ------------------------------------------------------------------ */

static void a_layer_without_an_image_gets_it_on_first_use(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP(layer_files_freep) struct layer_files *f = new_files(fixture->store);

	for (unsigned i = 0; i < 2; i++) {
		struct layer l = put_tree(fixture->store, 10 + i, i);
		struct layer_image_facts facts;
		struct err err = ERR_INIT;
		struct stat first, second;
		CLEANUP(closep) int fd = -1;
		CLEANUP(closep) int again = -1;

		assert_false(layer_image_exists(fixture->store, &l.diff_id, VERSION));
		assert_ok(layer_files_open(f, &l.diff_id, NULL, &fd, &facts, &err), &err);
		assert_int_equal(facts.inodes, 12 + i); /* with the root and "dir" */
		assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
		assert_ok(layer_files_open(f, &l.diff_id, NULL, &again, &facts, &err), &err);
		assert_int_equal(fstat(fd, &first), 0);
		assert_int_equal(fstat(again, &second), 0);
		assert_int_equal(first.st_ino, second.st_ino);
		assert_int_equal(first.st_size, facts.image_size);
		assert_int_equal(layer_files_made(f), i + 1);
	}
}

static void a_layer_that_is_not_here_has_none(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP(layer_files_freep) struct layer_files *f = new_files(fixture->store);
	struct digest missing = digest_of_text("missing");
	struct layer_image_facts facts;
	int fd;

	assert_code(layer_files_open(f, &missing, NULL, &fd, &facts, &(struct err)ERR_INIT), E_NOT_FOUND);
}

/* Only by its bytes can it be told: the name and the record say something else. */
static void a_damaged_blob_gives_no_image(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP(layer_files_freep) struct layer_files *f = new_files(fixture->store);
	struct layer l = put_tree(fixture->store, 10, false);
	char hex[DIGEST_TEXT_MAX], relative[256];
	struct layer_image_facts facts;
	struct err err = ERR_INIT;
	int fd;

	digest_hex(&l.blob, hex);
	snprintf(relative, sizeof relative, "content/sha256/%.2s/%s", hex, hex);
	assert_int_equal(chmod(fixture_path(fixture, relative), 0600), 0);
	fd = open(fixture_path(fixture, relative), O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "?", 1, 1000), 1); /* within a file */
	close(fd);
	assert_code(layer_files_open(f, &l.diff_id, NULL, &fd, &facts, &err), E_CORRUPT);
	assert_false(layer_image_exists(fixture->store, &l.diff_id, VERSION));
	assert_int_equal(layer_files_made(f), 0);
}

/* ---- several ----------------------------------------------------------------------- */

struct caller {
	struct layer_files *files;
	struct digest diff_id;
	pthread_t thread;
	int code;
};

static void *call(void *arg)
{
	struct caller *c = arg;
	struct layer_image_facts facts;
	struct err err = ERR_INIT;
	CLEANUP(closep) int fd = -1;

	c->code = layer_files_open(c->files, &c->diff_id, NULL, &fd, &facts, &err);
	return NULL;
}

static void callers_of_one_layer_share_one_making(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP(layer_files_freep) struct layer_files *f = new_files(fixture->store);
	struct layer a = put_tree(fixture->store, 3000, true), b = put_tree(fixture->store, 20, true);
	struct caller callers[CALLERS];

	for (int i = 0; i < CALLERS; i++) {
		callers[i] = (struct caller){ .files = f, .diff_id = i % 3 ? a.diff_id : b.diff_id };
		assert_int_equal(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
	}
	for (int i = 0; i < CALLERS; i++) {
		pthread_join(callers[i].thread, NULL);
		assert_int_equal(callers[i].code, OK);
	}
	assert_int_equal(layer_files_made(f), 2);
}

static void a_cancel_is_the_callers_own(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP(layer_files_freep) struct layer_files *f = new_files(fixture->store);
	CLEANUP(cancel_unrefp) struct cancel *cancel = cancel_new();
	struct layer l = put_tree(fixture->store, 10, true);
	struct layer_image_facts facts;
	struct err err = ERR_INIT;
	CLEANUP(closep) int fd = -1;

	cancel_fire(cancel, E_DEADLINE);
	assert_code(layer_files_open(f, &l.diff_id, cancel, &fd, &facts, &err), E_DEADLINE);
	assert_ok(layer_files_open(f, &l.diff_id, NULL, &fd, &facts, &err), &err);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_layer_without_an_image_gets_it_on_first_use),
		TEST(a_layer_that_is_not_here_has_none),
		TEST(a_damaged_blob_gives_no_image),
		TEST(callers_of_one_layer_share_one_making),
		TEST(a_cancel_is_the_callers_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

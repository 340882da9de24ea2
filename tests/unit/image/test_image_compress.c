/* Layers compressed by several threads. */
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "service/image/compress_layer.h"
#include "tests/unit/layer/craft.h"
#undef assert_ok /* the fixture has one of its own */
#include "tests/unit/store/fixture.h"

static const size_t sizes[] = {
	0, 1, COMPRESS_BLOCK - 1, COMPRESS_BLOCK, COMPRESS_BLOCK + 1, 9 * COMPRESS_BLOCK + 12345, 20 * COMPRESS_BLOCK
};

/* Half of it text, half noise. */
static struct buf make_data(size_t len)
{
	struct buf b = BUF_INIT(SIZE_MAX / 2);
	uint64_t x = 88172645463325252;

	while (b.len < len) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		if (b.len >> 18 & 1)
			buf_append(&b, &x, min_size(len - b.len, sizeof x));
		else
			buf_append(&b, "library ", min_size(len - b.len, 8));
	}
	assert_true(buf_ok(&b));
	return b;
}

static int file_of(const struct buf *b)
{
	int fd = memfd_create("layer", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, b->data ? b->data : (uint8_t *)"", b->len), b->len);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static struct digest compress(struct store *s, const struct buf *b, const struct compress_options *o,
			      struct ingest **ret_ingest)
{
	CLEANUP(closep) int fd = file_of(b);
	struct digest tar = craft_sha256(buf_bytes(b)), digest;
	struct err err = ERR_INIT;

	assert_ok(compress_layer(s, fd, &tar, o, NULL, ret_ingest, &digest, &err), &err);
	return digest;
}

/* By the system's own program, which knows of nothing that we do. */
static void assert_inflates(struct ingest *i, const char *program, const struct buf *wanted)
{
	char *const argv[] = { (char *)program, (char *)"-dc", NULL };
	CLEANUP(closep) int in = -1;
	CLEANUP(closep) int out = memfd_create("inflated", MFD_CLOEXEC);
	CLEANUP(freep) uint8_t *found = malloc(wanted->len + 1);
	posix_spawn_file_actions_t actions;
	struct err err = ERR_INIT;
	int status;
	pid_t pid;

	assert_ok(ingest_reader(i, &in, &err), &err);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in, 0);
	posix_spawn_file_actions_adddup2(&actions, out, 1);
	assert_int_equal(posix_spawnp(&pid, program, &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(pread(out, found, wanted->len + 1, 0), wanted->len);
	if (wanted->len)
		assert_memory_equal(found, wanted->data, wanted->len);
}

static void any_number_of_threads_gives_the_same_bytes(void **state, enum compression compression, const char *program)
{
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		CLEANUP(buf_free) struct buf data = make_data(sizes[i]);
		struct digest first = { 0 };

		for (unsigned threads = 1; threads < 5; threads++) {
			CLEANUP(ingest_unrefp) struct ingest *ingest = NULL;
			struct compress_options o = { .compression = compression, .threads = threads };
			struct digest d = compress(fixture->store, &data, &o, &ingest);

			if (threads == 1) {
				first = d;
				assert_inflates(ingest, program, &data);
			}
			assert_true(digest_eq(&d, &first));
		}
	}
}

static void gzip_is_the_same_by_any_number_of_threads(void **state)
{
	any_number_of_threads_gives_the_same_bytes(state, COMPRESSION_GZIP, "gzip");
}

static void zstd_is_the_same_by_any_number_of_threads(void **state)
{
	any_number_of_threads_gives_the_same_bytes(state, COMPRESSION_ZSTD, "zstd");
}

static void a_higher_level_is_smaller(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP(buf_free) struct buf tar = BUF_INIT(CRAFT_MAX);
	int64_t size[2];

	for (uint32_t i = 0, x = 1; i < 100 * 1000; i++, x = x * 1664525 + 1013904223)
		buf_printf(&tar, "word%u ", (x >> 20) * (x >> 24) % 499);
	for (int i = 0; i < 2; i++) {
		CLEANUP(ingest_unrefp) struct ingest *ingest = NULL;
		struct compress_options o = { .compression = COMPRESSION_ZSTD, .level = i ? 9 : 1 };

		compress(fixture->store, &tar, &o, &ingest);
		size[i] = ingest_offset(ingest);
	}
	assert_true(size[1] < size[0]);
}

static void bytes_that_are_others_are_found(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP(buf_free) struct buf data = make_data(3 * COMPRESS_BLOCK);
	struct digest tar = craft_sha256(bytes_of("others"));
	struct compress_options o = { .compression = COMPRESSION_GZIP };

	for (int zstd = 0; zstd < 2; zstd++) {
		CLEANUP(closep) int fd = file_of(&data);
		struct ingest *ingest = NULL;
		struct digest digest;
		struct err err = ERR_INIT;

		o.compression = zstd ? COMPRESSION_ZSTD : COMPRESSION_GZIP;
		assert_code(compress_layer(fixture->store, fd, &tar, &o, NULL, &ingest, &digest, &err), E_CORRUPT);
	}
}

static void a_fired_token_ends_it(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP(buf_free) struct buf data = make_data(3 * COMPRESS_BLOCK);
	CLEANUP(cancel_unrefp) struct cancel *cancel = cancel_new();
	CLEANUP(closep) int fd = file_of(&data);
	struct compress_options o = { .compression = COMPRESSION_GZIP };
	struct digest tar = craft_sha256(buf_bytes(&data)), digest;
	struct ingest *ingest = NULL;
	struct err err = ERR_INIT;

	cancel_fire(cancel, E_CANCELLED);
	assert_code(compress_layer(fixture->store, fd, &tar, &o, cancel, &ingest, &digest, &err), E_CANCELLED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(gzip_is_the_same_by_any_number_of_threads, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(zstd_is_the_same_by_any_number_of_threads, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(a_higher_level_is_smaller, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(bytes_that_are_others_are_found, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(a_fired_token_ends_it, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

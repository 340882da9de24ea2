/*
 * A file system of 4 MiB that is full: what needs room says so, with figures, and
 * changes nothing; what gives room back works; and afterwards all is as before.
 */
#include "tests/unit/store/fixture.h"

#include <fcntl.h>

#include "proto/runtime/clock.h"
#include "store/internal.h"

static struct fixture *fixture_or_skip(void **state)
{
	if (!*state) {
		print_message("          a tmpfs cannot be mounted here: skipped\n");
		skip();
	}
	return *state;
}

/* Leaves `keep` bytes. */
static void fill_disk(struct fixture *f, int64_t keep)
{
	static const char block[4096];
	int fd = open(fixture_path(f, "filler"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	int64_t total, available;

	assert_true(fd >= 0);
	assert_int_equal(store_disk(f->store, &total, &available, NULL), OK);
	for (; available > keep; available -= (int64_t)sizeof block)
		if (write(fd, block, sizeof block) != sizeof block)
			break;
	close(fd);
}

static void empty_disk(struct fixture *f)
{
	assert_int_equal(unlink(fixture_path(f, "filler")), 0);
}

static void assert_full(int code, const struct err *err)
{
	if (code != E_DISK_FULL) {
		print_error("%s: %s\n", err_reason(code), err->text);
		_fail(__FILE__, __LINE__);
	}
	assert_true(err->free_bytes < 256 * 1024);
}

static void publishing_says_so_and_lists_nothing(void **state)
{
	struct fixture *f = fixture_or_skip(state);
	struct err err = ERR_INIT;
	struct made made;
	char big[1024];
	int r = OK;

	fill_disk(f, 0);
	memset(big, 'x', sizeof big - 1);
	big[sizeof big - 1] = 0;
	assert_full(make_image_code(f->store, &(struct image_spec){ .name = "a", .layers = { big }, .refs = { "a" } },
				    &made, &err),
		    &err);
	assert_null(names_text(f->store, "a"));
	empty_disk(f);
	assert_ok(make_image_code(f->store, &(struct image_spec){ .name = "a", .layers = { big }, .refs = { "a" } },
				  &made, &err),
		  &err);
	assert_clean(f->store);
	(void)r;
}

/* At each amount of free room some other step is the one that fails. */
static void every_step_of_a_publication_can_be_the_one_that_fails(void **state)
{
	struct fixture *f = fixture_or_skip(state);
	int failures = 0;

	for (int64_t keep = 0; keep <= 96 * 1024; keep += 4096) {
		struct image_spec spec = { .name = "step", .n_layers = 40, .refs = { "step" }, .index = "step index" };
		struct err err = ERR_INIT;
		struct gc_result gc;
		struct made made;
		int r;

		fill_disk(f, keep);
		r = make_image_code(f->store, &spec, &made, &err);
		if (r != OK) {
			failures++;
			assert_full(r, &err);
			assert_null(names_text(f->store, "step"));
		}
		/* Also in the state of the full disk. */
		assert_ok(gc_run(f->store, clock_wall_ns() + 2LL * LEASE_SECONDS * 1000000000, NULL, &gc, &err), &err);
		assert_clean(f->store);
		empty_disk(f);
		if (r == OK) {
			char *said;

			assert_ok(removal_text(f->store, "step", false, false, &said, NULL, &err), &err);
			free(said);
		}
		fixture_reopen(f);
		assert_clean(f->store);
	}
	assert_true(failures > 3);
}

static void an_ingest_keeps_what_it_has(void **state)
{
	enum { SIZE = 3 * 1024 * 1024 / 2 };
	struct fixture *f = fixture_or_skip(state);
	uint8_t *data = calloc(1, SIZE);
	struct err err = ERR_INIT;
	struct ingest *i;
	struct digest d;

	digest_of(DIGEST_SHA256, (struct bytes){ data, SIZE }, &d);
	assert_code(ingest_open(f->store, &d, 100LL << 20, &i, &err), E_DISK_FULL);
	assert_int_equal(err.needed_bytes, 100LL << 20);
	assert_true(err.free_bytes > 0 && err.free_bytes < 4 << 20);
	assert_ok(ingest_open(f->store, &d, -1, &i, &err), &err); /* the size is not known: no room taken ahead */
	assert_ok(ingest_write(i, data, 300000, &err), &err);
	fill_disk(f, 16 * 1024);
	assert_full(ingest_write(i, data + 300000, 500000, &err), &err);
	assert_true(ingest_offset(i) >= 300000);
	ingest_unref(i);
	empty_disk(f);
	assert_ok(ingest_open(f->store, &d, SIZE, &i, &err), &err);
	assert_true(ingest_offset(i) >= 300000);
	assert_ok(ingest_write(i, data + ingest_offset(i), SIZE - (size_t)ingest_offset(i), &err), &err);
	assert_ok(ingest_finish(i, &err), &err);
	assert_ok(content_commit(f->store, &i, 1, &err), &err);
	ingest_unref(i);
	assert_ok(content_verify(f->store, &d, NULL, NULL, NULL, &err), &err);
	free(data);
}

static void tags_leases_and_events_are_refused_and_removal_works(void **state)
{
	struct fixture *f = fixture_or_skip(state);
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	struct err err = ERR_INIT;
	struct image image;
	bool by_id;
	char *said;
	int r = OK, tags = 0;

	for (int i = 0; i < 12; i++) {
		char name[16];

		snprintf(name, sizeof name, "image%d", i);
		make_image(f->store, &(struct image_spec){ .name = name, .n_layers = 5, .refs = { name } });
	}
	fill_disk(f, 0);
	arena_init(&arena, 1 << 20);
	assert_ok(image_resolve(f->store, "image0", &arena, &image, &by_id, &err), &err);
	/* Free pages inside of the database may serve for a while. */
	while (r == OK && tags < 20000) {
		struct reference ref;
		char name[32];

		snprintf(name, sizeof name, "tag%d", tags++);
		assert_ok(reference_parse(name, &ref, &err), &err);
		r = image_tag(f->store, &image, &ref, 1, &err);
	}
	assert_full(r, &err);
	while ((r = event_write(f->store, EVENT_REPAIR, NULL, "x", NULL, 1, &err)) == OK)
		;
	assert_full(r, &err);
	for (r = OK; r == OK;) {
		struct digest d = digest_of_text("held");
		struct lease_id lease;

		r = lease_create(f->store, "test", &d, 1, &lease, &err);
	}
	assert_full(r, &err);
	for (int i = 1; i < 12; i++) {
		char name[16];
		int64_t freed;

		snprintf(name, sizeof name, "image%d", i);
		assert_ok(removal_text(f->store, name, false, false, &said, &freed, &err), &err);
		free(said);
		assert_true(freed > 0);
	}
	fixture_reopen(f); /* it starts on a full disk */
	assert_clean(f->store);
	assert_found(f->store, "image0");
	empty_disk(f);
	make_image(f->store, &(struct image_spec){ .name = "later", .layers = { "l" }, .refs = { "later" } });
	assert_clean(f->store);
}

static void a_new_store_on_a_full_disk_is_refused(void **state)
{
	struct fixture *f = fixture_or_skip(state);
	struct err err = ERR_INIT;
	struct store *s = NULL;
	char root[ROOT_MAX + 16];

	snprintf(root, sizeof root, "%s/new", f->root);
	for (int64_t keep = 0; keep <= 512 * 1024; keep += 64 * 1024) {
		fill_disk(f, keep);
		assert_full(store_open(root, &s, &err), &(struct err){ .code = err.code });
		empty_disk(f);
	}
	assert_ok(store_open(root, &s, &err), &err);
	store_close(s);
}

static void room_is_asked_for_ahead(void **state)
{
	struct fixture *f = fixture_or_skip(state);
	struct err err = ERR_INIT;

	assert_ok(store_reserve(f->store, 1024 * 1024, &err), &err);
	assert_code(store_reserve(f->store, 4 * 1024 * 1024, &err), E_DISK_FULL);
	assert_int_equal(err.needed_bytes, 4 * 1024 * 1024);
	assert_true(err.free_bytes > 0 && err.free_bytes < err.needed_bytes);
	fill_disk(f, 0);
	assert_code(store_reserve(f->store, 0, &err), E_DISK_FULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup_small, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(publishing_says_so_and_lists_nothing),
		TEST(every_step_of_a_publication_can_be_the_one_that_fails),
		TEST(an_ingest_keeps_what_it_has),
		TEST(tags_leases_and_events_are_refused_and_removal_works),
		TEST(a_new_store_on_a_full_disk_is_refused),
		TEST(room_is_asked_for_ahead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

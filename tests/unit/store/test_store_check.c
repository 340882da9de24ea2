#include "tests/unit/store/fixture.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "proto/runtime/cancel.h"
#include "proto/runtime/clock.h"
#include "store/content/path.h"
#include "store/internal.h"
#include "store/record.h"

/* ---- a directory that cannot be read to its end --------------------------- */

static int entries_until_error; /* 0: never */

struct dirent *readdir(DIR *dir)
{
	static struct dirent *(*real)(DIR *);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "readdir64");
	if (entries_until_error && !--entries_until_error) {
		errno = EIO;
		return NULL;
	}
	return real(dir);
}

static void delete_key(struct meta *m, struct key k)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();

	meta_txn_delete(t, key_bytes(&k));
	assert_int_equal(meta_txn_commit(m, t, NULL, NULL), OK);
}

static void put_key(struct meta *m, struct key k, struct bytes value)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();

	meta_txn_put(t, key_bytes(&k), value);
	assert_int_equal(meta_txn_commit(m, t, NULL, NULL), OK);
}

static void assert_finds(struct store *s, bool quick, const char *expected)
{
	char *text = check_text(s, quick);

	assert_string_equal(text, expected);
	free(text);
}

static struct made standard(struct fixture *f)
{
	return make_image(
		f->store,
		&(struct image_spec){
			.name = "a", .layers = { "one", "two" }, .refs = { "a" }, .index = "index", .created = 9 });
}

static int open_blob(struct fixture *f, const char *text)
{
	struct digest d = digest_of_text(text);
	char path[CONTENT_PATH_MAX];
	int fd = openat(f->store->content_fd, content_path(&d, path), O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void remove_blob(struct fixture *f, const char *text)
{
	struct digest d = digest_of_text(text);
	char path[CONTENT_PATH_MAX];

	assert_int_equal(unlinkat(f->store->content_fd, content_path(&d, path), 0), 0);
}

static void one_changed_bit_is_found_unless_quick(void **state)
{
	struct fixture *f = *state;
	struct buf out = BUF_INIT(100);
	struct digest d = digest_of_text("two");
	char text[DIGEST_TEXT_MAX], expected[256];
	struct err err = ERR_INIT;
	int fd;

	standard(f);
	fd = open_blob(f, "two");
	assert_int_equal(pwrite(fd, "u", 1, 0), 1);
	close(fd);
	assert_finds(f->store, true, "");
	snprintf(expected, sizeof expected, "damaged content %s is damaged: its bytes have another digest\n",
		 digest_text(&d, text));
	assert_finds(f->store, false, expected);
	assert_code(content_read(f->store, &d, &out, &err), E_CORRUPT);
	buf_free(&out);
}

static void a_blob_of_another_length_is_found_also_when_quick(void **state)
{
	struct fixture *f = *state;
	int fd;

	standard(f);
	fd = open_blob(f, "config a");
	assert_int_equal(ftruncate(fd, 3), 0);
	close(fd);
	assert_finds(f->store, true, "damaged 3 bytes instead of 8\n");
	assert_finds(f->store, false, "damaged 3 bytes instead of 8\n");
}

static void missing_blobs_of_every_kind_are_found_once(void **state)
{
	struct fixture *f = *state;
	const char *line = "missing an image needs this content and it is not there\n";
	struct buf four = BUF_INIT(1000);

	standard(f);
	make_image(f->store, &(struct image_spec){ .name = "b", .layers = { "one" }, .refs = { "b" } });
	remove_blob(f, "one");
	remove_blob(f, "config a");
	remove_blob(f, "manifest a");
	remove_blob(f, "index");
	for (int i = 0; i < 4; i++)
		buf_puts(&four, line);
	assert_finds(f->store, true, buf_text(&four));
	buf_free(&four);
}

static void content_that_nothing_needs_is_found(void **state)
{
	struct fixture *f = *state;

	standard(f);
	add_blob(f->store, "stray");
	assert_finds(f->store, true, "unreferenced nothing needs this content\n");
}

static void layers_without_a_verified_diff_id_are_found(void **state)
{
	struct fixture *f = *state;
	struct digest blob = digest_of_text("one");

	standard(f);
	delete_key(f->store->local, key_layer(&blob));
	assert_finds(f->store, true, "unverified no verified diff ID is on record\n");
}

static void each_missing_key_of_an_image_is_found(void **state)
{
	struct fixture *f = *state;
	struct made a = standard(f);
	struct timestamp created = { true, 9, 0 };
	struct digest layer = digest_of_text("two"),
		      diffs[2] = { digest_of_text("diff of one"), digest_of_text("diff of two") };
	struct digest chain = chain_id(diffs, 2);
	struct edge_parent image = { .kind = EDGE_MANIFEST, .digest = a.manifest };
	struct edge_parent name = { .kind = EDGE_NAME, .reference = "docker.io/library/a:latest" };
	const struct {
		struct key k;
		const char *finding;
	} cases[] = {
		{ key_config(&a.config, &a.manifest), "its entry in the list of image IDs is missing" },
		{ key_order(&created, &a.manifest), "its entry in the order of creation is missing" },
		{ key_edge(&a.config, &image), "the edge of its configuration is missing" },
		{ key_edge(&layer, &image), "an edge of a layer is missing" },
		{ key_chain(&chain, &a.manifest), "a layer chain is missing" },
		{ key_edge(&a.manifest, &name), "the edge of a name is missing" },
		{ key_edge(&a.index, &name), "the edge of a name is missing" },
		{ key_index(&a.index), "the name docker.io/library/a:latest leads to an index that is not there" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *text;

		delete_key(f->store->shared, cases[i].k);
		text = check_text(f->store, true);
		if (!strstr(text, cases[i].finding)) {
			print_error("case %zu: '%s'\n", i, text);
			_fail(__FILE__, __LINE__);
		}
		free(text);
		standard(f); /* publishing heals */
		assert_clean(f->store);
	}
}

static void names_and_lists_that_lead_nowhere_are_found(void **state)
{
	struct fixture *f = *state;
	struct made a = standard(f);

	delete_key(f->store->shared, key_image(&a.manifest));
	{
		char *text = check_text(f->store, true);

		assert_non_null(strstr(text, "broken an image ID leads to an image that is not there"));
		assert_non_null(strstr(text, "broken the order of creation holds an image that is not there"));
		assert_non_null(
			strstr(text, "broken the name docker.io/library/a:latest leads to an image that is not there"));
		free(text);
	}
	standard(f);
	assert_clean(f->store);
}

static void records_that_cannot_be_read_are_found(void **state)
{
	struct fixture *f = *state;
	struct made a = standard(f);
	char *text;

	put_key(f->store->shared, key_image(&a.manifest), bytes_of("\xff\xff"));
	put_key(f->store->shared, key_name("docker.io/library/a:latest"), bytes_of("\xff\xff"));
	text = check_text(f->store, true);
	assert_non_null(strstr(text, "broken the record of the image cannot be read"));
	assert_non_null(strstr(text, "broken the record of the name docker.io/library/a:latest cannot be read"));
	free(text);
}

/* ---- what a finding says -------------------------------------------------- */

static int assert_described(void *arg, const struct finding *f)
{
	const struct made *made = arg;

	assert_int_equal(f->kind, FINDING_BLOB_MISSING);
	assert_int_equal(f->n_images, 2);
	assert_int_equal(f->n_sources, 1);
	assert_string_equal(f->sources[0], "docker.io/library/test");
	assert_int_equal(f->size, 3);
	assert_string_equal(f->media_type, "application/vnd.oci.image.layer.v1.tar+gzip");
	assert_true(digest_eq(&f->images[0], &made->config) || digest_eq(&f->images[1], &made->config));
	return OK;
}

static void a_finding_says_who_needs_it_and_where_it_came_from(void **state)
{
	struct fixture *f = *state;
	struct made a = standard(f);
	struct check c = { .quick = true, .finding = assert_described, .arg = &a };
	struct err err = ERR_INIT;

	make_image(f->store, &(struct image_spec){ .name = "b", .layers = { "one" } });
	remove_blob(f, "one");
	assert_ok(store_check(f->store, &c, NULL, &err), &err);
}

static void a_damaged_blob_is_replaced_through_the_quarantine(void **state)
{
	struct fixture *f = *state;
	struct digest d = digest_of_text("two");
	char path[CONTENT_PATH_MAX];
	struct err err = ERR_INIT;
	struct stat st;
	int fd;

	standard(f);
	fd = open_blob(f, "two");
	assert_int_equal(pwrite(fd, "u", 1, 0), 1);
	close(fd);
	assert_code(content_verify(f->store, &d, NULL, NULL, NULL, &err), E_CORRUPT);
	assert_ok(content_quarantine(f->store, &d, &err), &err);
	assert_code(content_quarantine(f->store, &d, &err), E_NOT_FOUND);
	assert_int_equal(fstatat(f->store->quarantine_fd, quarantine_name(&d, path), &st, 0), 0);
	add_blob(f->store, "two");
	assert_clean(f->store);
	assert_int_not_equal(fstatat(f->store->quarantine_fd, path, &st, 0), 0);
}

static bool is_aside(struct fixture *f, const struct digest *d)
{
	char path[CONTENT_PATH_MAX];
	struct stat st;

	return !fstatat(f->store->quarantine_fd, quarantine_name(d, path), &st, 0);
}

static void a_check_leaves_the_only_copy_of_what_is_needed_to_a_repair(void **state)
{
	struct fixture *f = *state;
	struct digest needed = digest_of_text("two"), stray = digest_of_text("stray");
	struct err err = ERR_INIT;

	standard(f);
	add_blob(f->store, "stray");
	assert_ok(content_quarantine(f->store, &needed, &err), &err);
	assert_ok(content_quarantine(f->store, &stray, &err), &err);
	/* The repair fetches, and meanwhile somebody else begins a check. */
	assert_finds(f->store, true, "missing an image needs this content and it is not there\n");
	assert_true(is_aside(f, &needed));
	assert_false(is_aside(f, &stray));
	assert_ok(content_restore(f->store, &needed, NULL, &err), &err);
	assert_clean(f->store);
}

static void a_directory_that_cannot_be_read_is_no_empty_one(void **state)
{
	struct fixture *f = *state;
	struct check c = { .quick = true };
	struct err err = ERR_INIT;
	struct gc_result g;
	int64_t bytes;
	int codes = 0;

	standard(f);
	for (int at = 1, r = E_IO; r != OK; at++, codes++) {
		entries_until_error = at;
		r = store_check(f->store, &c, NULL, &err);
		if (r != OK)
			assert_code(r, E_IO);
		else
			assert_true(entries_until_error > 0); /* that was all of them */
	}
	assert_true(codes > 10); /* the quarantine, the shards twice */
	entries_until_error = 1;
	assert_code(ingest_usage(f->store, &bytes, &err), E_IO);
	entries_until_error = 1;
	assert_code(gc_run(f->store, clock_wall_ns(), NULL, &g, &err), E_IO);
	entries_until_error = 0;
	assert_clean(f->store);
}

static int end_it(UNUSED void *arg, UNUSED const struct check_progress *p)
{
	return E_CANCELLED;
}

static void a_check_ends_when_its_reader_does(void **state)
{
	struct fixture *f = *state;
	struct check c = { .progress = end_it, .cancel = cancel_new() };
	struct err err = ERR_INIT;

	standard(f);
	assert_code(store_check(f->store, &c, NULL, &err), E_CANCELLED);
	c.progress = NULL;
	cancel_fire(c.cancel, E_DEADLINE);
	assert_code(store_check(f->store, &c, NULL, &err), E_DEADLINE);
	cancel_unref(c.cancel);
}

static int complain(void *arg)
{
	return fail(arg, E_BAD_CONTENT, "what the reader says");
}

static int complain_of_progress(void *arg, UNUSED const struct check_progress *p)
{
	return complain(arg);
}

static int complain_of_finding(void *arg, UNUSED const struct finding *f)
{
	return complain(arg);
}

static void the_words_of_a_reader_stay(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	struct check c = { .progress = complain_of_progress, .arg = &err };

	standard(f);
	assert_code(store_check(f->store, &c, NULL, &err), E_BAD_CONTENT);
	assert_string_equal(err.text, "what the reader says");
	remove_blob(f, "one");
	err = (struct err)ERR_INIT;
	c = (struct check){ .finding = complain_of_finding, .arg = &err };
	assert_code(store_check(f->store, &c, NULL, &err), E_BAD_CONTENT);
	assert_string_equal(err.text, "what the reader says");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(one_changed_bit_is_found_unless_quick),
		TEST(a_blob_of_another_length_is_found_also_when_quick),
		TEST(missing_blobs_of_every_kind_are_found_once),
		TEST(content_that_nothing_needs_is_found),
		TEST(layers_without_a_verified_diff_id_are_found),
		TEST(each_missing_key_of_an_image_is_found),
		TEST(names_and_lists_that_lead_nowhere_are_found),
		TEST(records_that_cannot_be_read_are_found),
		TEST(a_finding_says_who_needs_it_and_where_it_came_from),
		TEST(a_damaged_blob_is_replaced_through_the_quarantine),
		TEST(a_check_leaves_the_only_copy_of_what_is_needed_to_a_repair),
		TEST(a_directory_that_cannot_be_read_is_no_empty_one),
		TEST(a_check_ends_when_its_reader_does),
		TEST(the_words_of_a_reader_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "tests/unit/store/fixture.h"

#include "proto/runtime/clock.h"
#include "store/image/removing.h"
#include "store/internal.h"

#define DIGEST_A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define DIGEST_B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* What `rmi TEXT` prints: first as a dry run, then for real; both must agree. */
static void assert_removes(struct fixture *f, const char *text, bool force, const char *expected)
{
	struct err err = ERR_INIT;
	int64_t before, after, would, freed;
	struct usage u;
	char *said;

	assert_ok(store_usage(f->store, &u, &err), &err);
	before = u.content_bytes;
	assert_ok(removal_text(f->store, text, force, true, &said, &would, &err), &err);
	assert_string_equal(said, expected);
	free(said);
	assert_ok(store_usage(f->store, &u, &err), &err);
	assert_int_equal(u.content_bytes, before);
	assert_ok(removal_text(f->store, text, force, false, &said, &freed, &err), &err);
	assert_string_equal(said, expected);
	free(said);
	assert_ok(store_usage(f->store, &u, &err), &err);
	after = u.content_bytes;
	assert_int_equal(freed, before - after);
	assert_int_equal(would, freed);
	assert_clean(f->store);
}

static void assert_refused(struct fixture *f, const char *text, bool force, int code, const char *message)
{
	struct err err = ERR_INIT;
	char *said;

	for (int dry_run = 0; dry_run < 2; dry_run++) {
		assert_code(removal_text(f->store, text, force, dry_run, &said, NULL, &err), code);
		assert_string_equal(err.text, message);
		assert_string_equal(said, "");
		free(said);
	}
	assert_clean(f->store);
}

static void line(struct buf *out, const char *what, const struct digest *d)
{
	char text[DIGEST_TEXT_MAX];

	buf_printf(out, "%s: %s\n", what, digest_text(d, text));
}

/* The chain IDs of an image of these layers, from the top. */
static void chains(struct buf *out, const char *const *layers, size_t n)
{
	struct digest diff_ids[8], chain;

	for (size_t i = 0; i < n; i++) {
		char diff[300];

		snprintf(diff, sizeof diff, "diff of %s", layers[i]);
		diff_ids[i] = digest_of_text(diff);
	}
	for (size_t i = n; i-- > 0;) {
		chain = chain_id(diff_ids, i + 1);
		line(out, "Deleted", &chain);
	}
}

static void the_last_name_takes_the_image_with_it(void **state)
{
	struct fixture *f = *state;
	struct made a = make_image(
		f->store, &(struct image_spec){ .name = "a", .layers = { "one", "two" }, .refs = { "busybox" } });
	struct buf out = BUF_INIT(4096);

	buf_puts(&out, "Untagged: busybox:latest\n");
	line(&out, "Deleted", &a.config);
	chains(&out, (const char *const[]){ "one", "two" }, 2);
	assert_removes(f, "busybox", false, buf_text(&out));
	assert_refused(f, "busybox", false, E_NO_SUCH_IMAGE, "No such image: busybox:latest");
	assert_false(blob_is_there(f->store, "one"));
	buf_free(&out);
}

static void another_name_keeps_the_image(void **state)
{
	struct fixture *f = *state;

	make_image(f->store, &(struct image_spec){ .name = "a", .layers = { "one" }, .refs = { "a:1", "a:2", "b" } });
	assert_removes(f, "a:1", false, "Untagged: a:1\n");
	assert_removes(f, "b", true, "Untagged: b:latest\n");
	assert_true(blob_is_there(f->store, "one"));
}

static void the_last_tag_of_a_repository_takes_its_digest_names_along(void **state)
{
	struct fixture *f = *state;

	make_image(f->store,
		   &(struct image_spec){ .name = "a",
					 .layers = { "one" },
					 .refs = { "a:1", "a:2", "a@" DIGEST_A, "a@" DIGEST_B, "b@" DIGEST_A } });
	assert_removes(f, "a:1", false, "Untagged: a:1\n");
	assert_removes(f, "a:2", false, "Untagged: a:2\nUntagged: a@" DIGEST_A "\nUntagged: a@" DIGEST_B "\n");
	assert_true(blob_is_there(f->store, "one")); /* b@… is left */
}

static void a_digest_name_goes_alone(void **state)
{
	struct fixture *f = *state;

	make_image(f->store, &(struct image_spec){ .name = "a", .refs = { "a:1", "a@" DIGEST_A } });
	assert_removes(f, "a@" DIGEST_A, false, "Untagged: a@" DIGEST_A "\n");
	assert_found(f->store, "a:1");
}

static void shared_layers_stay(void **state)
{
	struct fixture *f = *state;
	struct made a = make_image(f->store,
				   &(struct image_spec){ .name = "a", .layers = { "base", "mine" }, .refs = { "a" } });
	struct buf out = BUF_INIT(4096);
	const char *both[] = { "base", "mine" };
	struct digest two[2], chain;

	make_image(f->store, &(struct image_spec){ .name = "b", .layers = { "base", "yours" }, .refs = { "b" } });
	two[0] = digest_of_text("diff of base");
	two[1] = digest_of_text("diff of mine");
	chain = chain_id(two, 2);
	buf_puts(&out, "Untagged: a:latest\n");
	line(&out, "Deleted", &a.config);
	line(&out, "Deleted", &chain);
	assert_removes(f, "a", false, buf_text(&out));
	assert_true(blob_is_there(f->store, "base"));
	assert_false(blob_is_there(f->store, "mine"));
	(void)both;
	buf_free(&out);
}

static void an_id_removes_all_names_of_one_repository(void **state)
{
	struct fixture *f = *state;
	struct made a = make_image(f->store, &(struct image_spec){ .name = "a",
								   .layers = { "one" },
								   .refs = { "a:1", "a@" DIGEST_A, "a@" DIGEST_B } });
	char hex[DIGEST_TEXT_MAX], prefix[13];
	struct buf out = BUF_INIT(4096);

	snprintf(prefix, sizeof prefix, "%.12s", digest_hex(&a.config, hex));
	buf_puts(&out, "Untagged: a:1\nUntagged: a@" DIGEST_A "\nUntagged: a@" DIGEST_B "\n");
	line(&out, "Deleted", &a.config);
	chains(&out, (const char *const[]){ "one" }, 1);
	assert_removes(f, prefix, false, buf_text(&out));
	buf_free(&out);
}

static void an_id_with_several_repositories_must_be_forced(void **state)
{
	struct fixture *f = *state;
	struct made a = make_image(f->store,
				   &(struct image_spec){ .name = "a", .layers = { "one" }, .refs = { "b", "a:1" } });
	char hex[DIGEST_TEXT_MAX], message[256];
	struct buf out = BUF_INIT(4096);

	snprintf(message, sizeof message,
		 "conflict: unable to delete %.12s (must be forced) - image is referenced in multiple repositories",
		 digest_hex(&a.config, hex));
	assert_refused(f, hex, false, E_CONFLICT, message);
	buf_puts(&out, "Untagged: a:1\nUntagged: b:latest\n");
	line(&out, "Deleted", &a.config);
	chains(&out, (const char *const[]){ "one" }, 1);
	assert_removes(f, hex, true, buf_text(&out));
	buf_free(&out);
}

static void two_tags_of_one_repository_are_several_references(void **state)
{
	struct fixture *f = *state;
	struct made a = make_image(f->store, &(struct image_spec){ .name = "a", .refs = { "a:1", "a:2" } });
	char hex[DIGEST_TEXT_MAX], message[256];

	snprintf(message, sizeof message,
		 "conflict: unable to delete %.12s (must be forced) - image is referenced in multiple repositories",
		 digest_hex(&a.config, hex));
	assert_refused(f, hex, false, E_CONFLICT, message);
}

static void an_image_without_names_goes_by_its_id(void **state)
{
	struct fixture *f = *state;
	struct made a = make_image(f->store, &(struct image_spec){ .name = "a", .layers = { "one" } });
	struct buf out = BUF_INIT(4096);
	char text[DIGEST_TEXT_MAX];

	line(&out, "Deleted", &a.config);
	chains(&out, (const char *const[]){ "one" }, 1);
	assert_removes(f, digest_text(&a.config, text), false, buf_text(&out));
	buf_free(&out);
}

static void all_manifests_of_an_image_go_together(void **state)
{
	struct fixture *f = *state;
	struct made a = make_image(
		f->store, &(struct image_spec){ .name = "a", .manifest = " 1", .layers = { "one" }, .refs = { "a" } });
	struct buf out = BUF_INIT(4096);

	for (int i = 2; i < 12; i++) {
		char manifest[8];

		snprintf(manifest, sizeof manifest, " %d", i);
		make_image(f->store, &(struct image_spec){ .name = "a", .manifest = manifest, .layers = { "one" } });
	}
	assert_int_equal(store_image_count(f->store), 1);
	buf_puts(&out, "Untagged: a:latest\n");
	line(&out, "Deleted", &a.config);
	chains(&out, (const char *const[]){ "one" }, 1);
	assert_removes(f, "a", false, buf_text(&out));
	assert_false(blob_is_there(f->store, "manifest a 7"));
	buf_free(&out);
}

static void an_index_goes_with_the_last_name_that_leads_to_it(void **state)
{
	struct fixture *f = *state;

	make_image(f->store, &(struct image_spec){ .name = "amd",
						   .index = "the index",
						   .refs = { "a:1", "a@" DIGEST_A, "keep:amd" } });
	make_image(f->store, &(struct image_spec){ .name = "arm", .index = "the index", .refs = { "a:1" } });
	/* a:1 leads to arm now; a@… and keep:amd to amd. */
	assert_removes(f, "keep:amd", false, "Untagged: keep:amd\n");
	assert_true(blob_is_there(f->store, "the index"));
	assert_found(f->store, "a:1");
	{
		char *said;
		struct err err = ERR_INIT;

		assert_ok(removal_text(f->store, "a:1", false, false, &said, NULL, &err), &err);
		free(said);
		assert_true(blob_is_there(f->store, "the index"));
		assert_clean(f->store);
		assert_ok(removal_text(f->store, "a@" DIGEST_A, false, false, &said, NULL, &err), &err);
		free(said);
	}
	assert_false(blob_is_there(f->store, "the index"));
	assert_false(blob_is_there(f->store, "manifest amd"));
	assert_clean(f->store);
}

static void thousands_of_names_go_in_steps(void **state)
{
	enum { NAMES = 300 };
	struct fixture *f = *state;
	struct made a = make_image(f->store, &(struct image_spec){ .name = "a", .layers = { "one" } });
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	struct err err = ERR_INIT;
	struct image image;
	char hex[DIGEST_TEXT_MAX], *said;
	size_t lines = 0;

	arena_init(&arena, 1 << 20);
	assert_ok(image_get(f->store, &a.manifest, &arena, &image, &err), &err);
	for (int i = 0; i < NAMES; i++) {
		struct reference ref;
		char name[32];

		snprintf(name, sizeof name, "many%d:v", i);
		assert_ok(reference_parse(name, &ref, &err), &err);
		assert_ok(image_tag(f->store, &image, &ref, i, &err), &err);
	}
	assert_ok(removal_text(f->store, digest_hex(&a.config, hex), true, false, &said, NULL, &err), &err);
	for (const char *c = said; *c; c++)
		lines += *c == '\n';
	free(said);
	assert_int_equal(lines, NAMES + 2);
	assert_int_equal(store_name_count(f->store), 0);
	assert_clean(f->store);
}

static void what_a_lease_holds_is_not_freed(void **state)
{
	struct fixture *f = *state;
	struct digest layer = digest_of_text("one");
	struct err err = ERR_INIT;
	struct lease_id lease;
	int64_t would, freed;
	char *said;

	make_image(f->store, &(struct image_spec){ .name = "a", .layers = { "one" }, .refs = { "a" } });
	assert_ok(lease_create(f->store, "test", &layer, 1, &lease, &err), &err);
	assert_ok(removal_text(f->store, "a", false, true, &said, &would, &err), &err);
	free(said);
	assert_ok(removal_text(f->store, "a", false, false, &said, &freed, &err), &err);
	free(said);
	assert_int_equal(would, freed);
	assert_true(blob_is_there(f->store, "one"));
	assert_ok(lease_release(f->store, &lease, &err), &err);
	assert_ok(gc_blobs(f->store, &layer, 1, &freed, &err), &err);
	assert_int_equal(freed, 3);
	assert_false(blob_is_there(f->store, "one"));
}

static void assert_frees(struct fixture *f, int64_t expected)
{
	struct err err = ERR_INIT;
	int64_t would, freed;
	char *said;

	assert_ok(removal_text(f->store, "a", false, true, &said, &would, &err), &err);
	free(said);
	assert_ok(removal_text(f->store, "a", false, false, &said, &freed, &err), &err);
	free(said);
	assert_int_equal(would, expected);
	assert_int_equal(freed, expected);
	assert_clean(f->store);
}

static void what_only_a_dead_lease_holds_goes_with_the_image_that_had_it(void **state)
{
	struct fixture *f = *state;
	struct image_spec spec = { .name = "a", .layers = { "one" }, .refs = { "a" }, .index = "index" };
	struct made made = make_image(f->store, &spec);
	struct digest held[] = { digest_of_text("one"), made.index, made.manifest, digest_of_text("yet to come") };
	int64_t all = (int64_t)(strlen("one") + strlen("index") + strlen("config a") + strlen("manifest a"));
	struct err err = ERR_INIT;
	struct lease_id lease;

	assert_ok(lease_create(f->store, "pull", held, ARRAY_LEN(held), &lease, &err), &err);
	assert_ok(lease_abandon(f->store, &lease, &err), &err);
	assert_frees(f, all);
	make_image(f->store, &spec);
	assert_ok(lease_create(f->store, "pull", held, ARRAY_LEN(held), &lease, &err), &err);
	fixture_reopen(f);
	assert_frees(f, all);
}

static void delete_refuses_an_image_that_got_a_name_meanwhile(void **state)
{
	struct fixture *f = *state;
	struct made a = make_image(f->store, &(struct image_spec){ .name = "a", .layers = { "one" } });
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	struct removal r = { .now_ns = 1 };
	struct err err = ERR_INIT;
	struct image image;
	struct reference ref;

	arena_init(&arena, 1 << 20);
	assert_ok(image_get(f->store, &a.manifest, &arena, &image, &err), &err);
	assert_ok(reference_parse("new", &ref, &err), &err);
	assert_ok(image_tag(f->store, &image, &ref, 1, &err), &err);
	assert_code(image_delete(f->store, &image, &r, &err), E_CONFLICT);
	assert_true(blob_is_there(f->store, "one"));
	assert_ok(image_get(f->store, &a.manifest, &arena, &image, &err), &err);
	assert_ok(image_delete(f->store, &image, &r, &err), &err);
	assert_int_equal(r.freed, strlen("one") + strlen("config a") + strlen("manifest a"));
	assert_code(image_delete(f->store, &image, &r, &err), E_NO_SUCH_IMAGE);
	assert_clean(f->store);
}

static int stop_at_image(void *arg, enum removed_kind kind, UNUSED const char *value, UNUSED int64_t size)
{
	*(int *)arg += 1;
	return kind == REMOVED_IMAGE ? E_CANCELLED : OK;
}

static void a_reader_that_leaves_does_not_leave_garbage(void **state)
{
	struct fixture *f = *state;
	int visited = 0;
	struct removal r = { .now_ns = 1, .visit = stop_at_image, .arg = &visited };
	struct err err = ERR_INIT;

	make_image(f->store, &(struct image_spec){ .name = "a", .layers = { "one", "two" }, .refs = { "a" } });
	assert_code(image_remove(f->store, "a", &r, &err), E_CANCELLED);
	assert_int_equal(visited, 2);
	assert_false(blob_is_there(f->store, "one"));
	assert_clean(f->store);
}

static int complain(void *arg, UNUSED enum removed_kind kind, UNUSED const char *value, UNUSED int64_t size)
{
	return fail(arg, E_BAD_CONTENT, "what the reader says");
}

static void the_words_of_a_reader_stay(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	struct removal r = { .now_ns = 1, .visit = complain, .arg = &err };

	make_image(f->store, &(struct image_spec){ .name = "a", .layers = { "one" }, .refs = { "a" } });
	assert_code(image_remove(f->store, "a", &r, &err), E_BAD_CONTENT);
	assert_string_equal(err.text, "what the reader says");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_last_name_takes_the_image_with_it),
		TEST(another_name_keeps_the_image),
		TEST(the_last_tag_of_a_repository_takes_its_digest_names_along),
		TEST(a_digest_name_goes_alone),
		TEST(shared_layers_stay),
		TEST(an_id_removes_all_names_of_one_repository),
		TEST(an_id_with_several_repositories_must_be_forced),
		TEST(two_tags_of_one_repository_are_several_references),
		TEST(an_image_without_names_goes_by_its_id),
		TEST(all_manifests_of_an_image_go_together),
		TEST(an_index_goes_with_the_last_name_that_leads_to_it),
		TEST(thousands_of_names_go_in_steps),
		TEST(what_a_lease_holds_is_not_freed),
		TEST(what_only_a_dead_lease_holds_goes_with_the_image_that_had_it),
		TEST(delete_refuses_an_image_that_got_a_name_meanwhile),
		TEST(a_reader_that_leaves_does_not_leave_garbage),
		TEST(the_words_of_a_reader_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "tests/unit/store/fixture.h"

#include "proto/runtime/clock.h"
#include "store/internal.h"

/* What an argument leads to: the name given to the image in the test, by ID or not,
 * or the message. */
static void assert_resolves(struct store *s, const char *text, const struct made *made, bool by_id)
{
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	struct err err = ERR_INIT;
	struct image image;
	struct digest config;
	bool found_by_id;

	arena_init(&arena, 1 << 20);
	assert_ok(image_resolve(s, text, &arena, &image, &found_by_id, &err), &err);
	assert_true(digest_from_key((struct bytes){ image.record->config.data, image.record->config.len }, &config));
	assert_true(digest_eq(&config, &made->config));
	assert_int_equal(found_by_id, by_id);
}

static void assert_missing(struct store *s, const char *text, int code, const char *message)
{
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	struct err err = ERR_INIT;
	struct image image;
	bool by_id;

	arena_init(&arena, 1 << 20);
	assert_code(image_resolve(s, text, &arena, &image, &by_id, &err), code);
	assert_string_equal(err.text, message);
}

/* A name whose config's digest begins with these digits. */
static void name_for(const char *digits, int seed, char name[64])
{
	for (int i = seed;; i++) {
		char config[96], hex[DIGEST_TEXT_MAX];
		struct digest d;

		snprintf(name, 64, "n%d", i);
		snprintf(config, sizeof config, "config %s", name);
		d = digest_of_text(config);
		if (!strncmp(digest_hex(&d, hex), digits, strlen(digits)))
			return;
	}
}

static void names_resolve_as_docker_does(void **state)
{
	struct store *s = ((struct fixture *)*state)->store;
	struct made a = make_image(
		s, &(struct image_spec){ .name = "a", .refs = { "busybox", "127.0.0.1:5000/team/app:v1" } });
	struct made b = make_image(
		s,
		&(struct image_spec){ .name = "b",
				      .index = "index b",
				      .refs = { "debian:12",
						"debian@sha256:"
						"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" } });

	assert_resolves(s, "busybox", &a, false);
	assert_resolves(s, "busybox:latest", &a, false);
	assert_resolves(s, "docker.io/library/busybox", &a, false);
	assert_resolves(s, "library/busybox", &a, false);
	assert_resolves(s, "127.0.0.1:5000/team/app:v1", &a, false);
	assert_resolves(s, "debian:12", &b, false);
	/* The digest decides, whatever the tag. */
	assert_resolves(s,
			"debian:other@sha256:"
			"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
			&b, false);
	assert_missing(s, "debian", E_NO_SUCH_IMAGE, "No such image: debian:latest");
	assert_missing(s, "nosuch", E_NO_SUCH_IMAGE, "No such image: nosuch:latest");
	assert_missing(s, "nosuch:1", E_NO_SUCH_IMAGE, "No such image: nosuch:1");
	assert_missing(s, "127.0.0.1:5000/team/app", E_NO_SUCH_IMAGE, "No such image: 127.0.0.1:5000/team/app:latest");
	assert_missing(s, "docker.io/library/none", E_NO_SUCH_IMAGE, "No such image: none:latest");
	assert_missing(s, "UPPER", E_INVALID_REFERENCE,
		       "invalid reference format: repository name (library/UPPER) must be lowercase");
	assert_missing(s, "", E_INVALID_REFERENCE, "invalid reference format");
}

static void ids_resolve_by_config_then_by_manifest(void **state)
{
	struct store *s = ((struct fixture *)*state)->store;
	struct made a = make_image(s, &(struct image_spec){ .name = "a", .refs = { "busybox" } });
	char text[DIGEST_TEXT_MAX], hex[DIGEST_TEXT_MAX], prefix[DIGEST_TEXT_MAX];

	assert_resolves(s, digest_hex(&a.config, hex), &a, true);
	assert_resolves(s, digest_text(&a.config, text), &a, true);
	assert_resolves(s, digest_hex(&a.manifest, hex), &a, true);
	assert_resolves(s, digest_text(&a.manifest, text), &a, true);
	snprintf(prefix, sizeof prefix, "%.12s", digest_hex(&a.config, hex));
	assert_resolves(s, prefix, &a, true);
	snprintf(prefix, sizeof prefix, "%.1s", hex);
	assert_resolves(s, prefix, &a, true);
	snprintf(prefix, sizeof prefix, "sha256:%.5s", hex);
	assert_resolves(s, prefix, &a, true);
	snprintf(prefix, sizeof prefix, "%.12s", digest_hex(&a.manifest, hex));
	assert_resolves(s, prefix, &a, true);
	assert_missing(s, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", E_NO_SUCH_IMAGE,
		       "No such image: sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_missing(s, "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", E_NO_SUCH_IMAGE,
		       "No such image: sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void an_ambiguous_prefix_is_no_image_and_a_name_wins(void **state)
{
	struct store *s = ((struct fixture *)*state)->store;
	char first[64], second[64];
	struct made a, b;

	name_for("ab", 0, first);
	name_for("ab", (int)strtol(first + 1, NULL, 10) + 1, second);
	a = make_image(s, &(struct image_spec){ .name = first, .refs = { "one" } });
	assert_resolves(s, "ab", &a, true);
	b = make_image(s, &(struct image_spec){ .name = second, .refs = { "two" } });
	assert_missing(s, "ab", E_NO_SUCH_IMAGE, "No such image: ab:latest");
	assert_missing(s, "sha256:ab", E_NO_SUCH_IMAGE, "No such image: sha256:ab");
	make_image(s, &(struct image_spec){ .name = second, .refs = { "ab" } });
	assert_resolves(s, "ab", &b, false);
}

static void manifests_of_one_config_are_one_image(void **state)
{
	struct store *s = ((struct fixture *)*state)->store;
	struct made gzip = make_image(
		s,
		&(struct image_spec){ .name = "a", .manifest = " gzip", .layers = { "l gz" }, .refs = { "a:gzip" } });
	struct made zstd = make_image(
		s,
		&(struct image_spec){ .name = "a", .manifest = " zstd", .layers = { "l gz" }, .refs = { "a:zstd" } });
	char hex[DIGEST_TEXT_MAX], *names;

	assert_true(digest_eq(&gzip.config, &zstd.config));
	assert_resolves(s, digest_hex(&gzip.config, hex), &gzip, true);
	assert_resolves(s, digest_hex(&zstd.manifest, hex), &gzip, true);
	names = names_text(s, "a:gzip");
	assert_string_equal(names, "a:gzip a:zstd");
	free(names);
	assert_int_equal(store_image_count(s), 1);
	assert_int_equal(store_name_count(s), 2);
	assert_clean(s);
}

static void a_tag_leads_to_the_image_and_moves(void **state)
{
	struct store *s = ((struct fixture *)*state)->store;
	struct made a = make_image(s, &(struct image_spec){ .name = "a", .refs = { "a" } });
	struct made b = make_image(s, &(struct image_spec){ .name = "b", .refs = { "b" }, .index = "index b" });
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	Imaged__Store__V1__NameRecord *record;
	struct err err = ERR_INIT;
	struct reference target;
	struct image image;
	char *names;
	bool by_id;

	arena_init(&arena, 1 << 20);
	assert_ok(image_resolve(s, "a", &arena, &image, &by_id, &err), &err);
	assert_ok(reference_parse("b", &target, &err), &err);
	assert_ok(image_tag(s, &image, &target, 77, &err), &err);
	assert_resolves(s, "b", &a, false);
	assert_ok(name_get(s, "docker.io/library/b:latest", &arena, &record, &err), &err);
	assert_int_equal(record->tagged_ns, 77);
	names = names_text(s, "a");
	assert_string_equal(names, "a:latest b:latest");
	free(names);
	assert_false(blob_is_there(s, "index b")); /* nothing names it any more */
	assert_true(blob_is_there(s, "config b")); /* the image stays, without a name */
	assert_ok(image_get(s, &b.manifest, &arena, &image, &err), &err);
	assert_int_equal(image.n_names, 0);
	assert_clean(s);
}

static void a_tag_that_cannot_be_is_refused(void **state)
{
	struct store *s = ((struct fixture *)*state)->store;
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	struct err err = ERR_INIT;
	struct reference target;
	struct image image;
	char *text;
	bool by_id;

	make_image(s, &(struct image_spec){ .name = "a", .refs = { "a" } });
	arena_init(&arena, 1 << 20);
	assert_ok(image_resolve(s, "a", &arena, &image, &by_id, &err), &err);
	assert_ok(reference_parse("b@sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", &target,
				  &err),
		  &err);
	assert_code(image_tag(s, &image, &target, 1, &err), E_INVALID_REFERENCE);
	assert_string_equal(err.text, "refusing to create a tag with a digest reference");
	assert_ok(reference_parse("sha256:abc", &target, &err), &err);
	assert_code(image_tag(s, &image, &target, 1, &err), E_INVALID_REFERENCE);
	assert_string_equal(err.text, "refusing to create an ambiguous tag using digest algorithm as name");
	assert_ok(removal_text(s, "a", false, false, &text, NULL, &err), &err);
	free(text);
	assert_ok(reference_parse("late", &target, &err), &err);
	assert_code(image_tag(s, &image, &target, 1, &err), E_NO_SUCH_IMAGE);
	assert_clean(s);
}

static void times_of_use_are_kept_to_the_minute(void **state)
{
	struct store *s = ((struct fixture *)*state)->store;
	struct made a = make_image(s, &(struct image_spec){ .name = "a" });
	int64_t minute = 60LL * 1000000000, now = 1000 * minute;

	assert_int_equal(image_last_used_ns(s, &a.manifest), 0);
	image_touch(s, &a.manifest, now);
	assert_int_equal(image_last_used_ns(s, &a.manifest), now);
	image_touch(s, &a.manifest, now + minute - 1);
	assert_int_equal(image_last_used_ns(s, &a.manifest), now);
	image_touch(s, &a.manifest, now + minute);
	assert_int_equal(image_last_used_ns(s, &a.manifest), now + minute);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(names_resolve_as_docker_does),
		TEST(ids_resolve_by_config_then_by_manifest),
		TEST(an_ambiguous_prefix_is_no_image_and_a_name_wins),
		TEST(manifests_of_one_config_are_one_image),
		TEST(a_tag_leads_to_the_image_and_moves),
		TEST(a_tag_that_cannot_be_is_refused),
		TEST(times_of_use_are_kept_to_the_minute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

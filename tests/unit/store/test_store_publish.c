#include "tests/unit/store/fixture.h"

#include "proto/runtime/clock.h"
#include "store/internal.h"
#include "store/meta/scan.h"

static void a_published_image_is_found_and_clean(void **state)
{
	struct fixture *f = *state;
	struct made made = make_image(f->store, &(struct image_spec){ .name = "a",
								      .layers = { "one", "two" },
								      .refs = { "busybox" },
								      .index = "index a",
								      .created = 1600000000 });
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	struct err err = ERR_INIT;
	struct image image;
	bool by_id;

	arena_init(&arena, 1 << 20);
	assert_ok(image_resolve(f->store, "busybox", &arena, &image, &by_id, &err), &err);
	assert_false(by_id);
	assert_true(digest_eq(&image.manifest, &made.manifest));
	assert_int_equal(image.n_names, 1);
	assert_string_equal(image.names[0], "docker.io/library/busybox:latest");
	assert_int_equal(image.n_manifests, 1);
	assert_int_equal(image.record->n_layers, 2);
	assert_int_equal(image.record->size, 2006);
	assert_int_equal(image.record->created_seconds, 1600000000);
	assert_string_equal(image.record->sources[0], "docker.io/library/test");
	assert_clean(f->store);
	fixture_reopen(f);
	assert_clean(f->store);
	assert_found(f->store, "busybox");
}

static size_t count(struct meta *m, struct key prefix)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	const struct key *k;
	size_t n = 0;

	meta_scan_prefix(scan, m, &prefix);
	while (meta_scan_next(scan, &k, NULL, NULL) == OK && k)
		n++;
	return n;
}

static void an_image_of_500_layers_is_published_in_guarded_steps(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	char *text;

	make_image(f->store, &(struct image_spec){ .name = "big", .n_layers = 500, .refs = { "big:1", "big:2" } });
	assert_clean(f->store);
	assert_int_equal(count(f->store->shared, key_guard_prefix()), 0);
	assert_int_equal(count(f->store->shared, key_lease_prefix()), 0);
	assert_int_equal(count(f->store->shared, key_held_prefix(NULL)), 0);
	assert_int_equal(count(f->store->shared, key_edge_all()), 501 + 2);
	assert_ok(removal_text(f->store, "big:1", false, false, &text, NULL, &err), &err);
	free(text);
	assert_ok(removal_text(f->store, "big:2", false, false, &text, NULL, &err), &err);
	free(text);
	assert_int_equal(count(f->store->shared, key_edge_all()), 0);
	assert_int_equal(count(f->store->shared, key_chain_prefix(NULL)), 0);
	assert_int_equal(count(f->store->local, key_layer_prefix()), 0);
	assert_clean(f->store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_published_image_is_found_and_clean, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(an_image_of_500_layers_is_published_in_guarded_steps, fixture_setup,
						fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* How many images have a layer on top of the same ones. */
#include "store/image/chain.h"

#include "store/record.h"
#include "tests/unit/store/fixture.h"

enum { LAYERS_MAX = 8 };

static size_t chains_of(struct store *s, const struct made *made, struct digest chains[LAYERS_MAX])
{
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	struct image image;
	struct err err = ERR_INIT;

	arena_init(&arena, 1 << 24);
	assert_ok(image_get(s, &made->manifest, &arena, &image, &err), &err);
	assert_true(image.record->n_layers <= LAYERS_MAX);
	for (size_t i = 0; i < image.record->n_layers; i++)
		assert_ok(digest_from_data(image.record->layers[i]->chain_id, &chains[i], &err), &err);
	return image.record->n_layers;
}

/* "3 2 1" of an image's layers, from the lowest. */
static char *counts_of(struct store *s, const struct made *made)
{
	struct buf text = BUF_INIT(1024);
	struct digest chains[LAYERS_MAX];
	size_t n = chains_of(s, made, chains);
	int64_t counts[LAYERS_MAX];
	struct err err = ERR_INIT;

	assert_ok(chain_image_counts(s, chains, n, counts, &err), &err);
	for (size_t i = 0; i < n; i++)
		buf_printf(&text, "%s%lld", i ? " " : "", (long long)counts[i]);
	return buf_take(&text);
}

static void assert_counts(struct store *s, const struct made *made, const char *wanted)
{
	CLEANUP(freep) char *text = counts_of(s, made);

	assert_string_equal(text, wanted);
}

static void images_on_the_same_lower_layers_are_counted(void **state)
{
	struct fixture *f = *state;
	struct made a = make_image(f->store, &(struct image_spec){ .name = "a", .layers = { "x", "y", "z" } });
	struct made b = make_image(f->store, &(struct image_spec){ .name = "b", .layers = { "x", "y" } });
	struct made c = make_image(f->store, &(struct image_spec){ .name = "c", .layers = { "x", "z" } });
	struct made d = make_image(f->store, &(struct image_spec){ .name = "d", .layers = { "y", "x" } });

	assert_counts(f->store, &a, "3 2 1");
	assert_counts(f->store, &b, "3 2");
	assert_counts(f->store, &c, "3 1");
	assert_counts(f->store, &d, "1 1");
}

static void manifests_of_one_image_count_once(void **state)
{
	struct fixture *f = *state;
	struct made a = make_image(f->store, &(struct image_spec){ .name = "a", .layers = { "x", "y" } });

	make_image(f->store, &(struct image_spec){ .name = "a", .manifest = "other", .layers = { "x", "y" } });
	assert_counts(f->store, &a, "1 1");
	make_image(f->store, &(struct image_spec){ .name = "b", .layers = { "x", "y" } });
	assert_counts(f->store, &a, "2 2");
}

/* Keys come before the record that is their parent, and stay when a daemon is killed. */
static void an_entry_without_its_image_does_not_count(void **state)
{
	struct fixture *f = *state;
	struct made a = make_image(f->store, &(struct image_spec){ .name = "a", .layers = { "x" } });
	struct digest nobody = digest_of_text("nobody"), chains[LAYERS_MAX];
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	struct err err = ERR_INIT;
	struct key k;

	assert_int_equal(chains_of(f->store, &a, chains), 1);
	k = key_chain(&chains[0], &nobody);
	meta_txn_put(t, key_bytes(&k), (struct bytes){ 0 });
	assert_ok(meta_txn_commit(store_shared(f->store), t, NULL, &err), &err);
	assert_counts(f->store, &a, "1");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(images_on_the_same_lower_layers_are_counted),
		TEST(manifests_of_one_image_count_once),
		TEST(an_entry_without_its_image_does_not_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

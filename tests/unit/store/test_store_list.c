#include "tests/unit/store/fixture.h"

#include "proto/runtime/clock.h"

struct seen {
	struct buf text;
	struct store *store;
	const char *remove; /* after the first image */
	int filter_odd;
	int n;
};

static int see(void *arg, const struct image *image)
{
	struct seen *s = arg;

	s->n++;
	if (s->filter_odd && s->n % 2)
		return 0;
	buf_printf(&s->text, "%s ", image->n_names ? image->names[0] + strlen("docker.io/library/") : "<none>");
	return 1;
}

/* All pages, "|" between them. */
static void assert_list(struct store *store, enum image_order order, size_t limit, struct seen *s, const char *expected)
{
	struct buf after = BUF_INIT(META_KEY_MAX);
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	struct err err = ERR_INIT;
	bool more = true;

	s->text = (struct buf)BUF_INIT(65536);
	arena_init(&arena, 1 << 24);
	while (more) {
		assert_ok(image_list(store, order, &after, limit, &arena, see, s, &more, &err), &err);
		if (more)
			buf_puts(&s->text, "| ");
		if (s->remove) {
			char *said;

			assert_ok(removal_text(store, s->remove, true, false, &said, NULL, &err), &err);
			s->remove = NULL;
			free(said);
		}
	}
	/* A last page may be empty. */
	if (s->text.len >= 2 && !strcmp(buf_text(&s->text) + s->text.len - 2, "| "))
		s->text.data[s->text.len - 2] = 0;
	assert_string_equal(buf_text(&s->text), expected);
	buf_free(&after);
	buf_free(&s->text);
}

static void fill(struct store *s)
{
	make_image(s, &(struct image_spec){ .name = "old", .refs = { "z" }, .created = 100 });
	make_image(s, &(struct image_spec){ .name = "new", .refs = { "m", "a" }, .created = 5000000000 });
	make_image(s, &(struct image_spec){ .name = "mid", .refs = { "q" }, .created = 2000 });
	make_image(s, &(struct image_spec){ .name = "timeless", .refs = { "b" } });
	make_image(s, &(struct image_spec){ .name = "nameless", .created = 50 });
	make_image(s, &(struct image_spec){ .name = "mid", .manifest = " again", .refs = { "c" }, .created = 2000 });
}

static void newest_first_each_image_once(void **state)
{
	struct store *s = ((struct fixture *)*state)->store;
	struct seen seen = { .n = 0 };

	assert_list(s, IMAGE_ORDER_CREATED_DESC, 100, &seen, "");
	fill(s);
	assert_list(s, IMAGE_ORDER_CREATED_DESC, 100, &seen, "a:latest c:latest z:latest <none> b:latest ");
	assert_list(s, IMAGE_ORDER_CREATED_DESC, 1, &seen, "a:latest | c:latest | z:latest | <none> | b:latest ");
	assert_list(s, IMAGE_ORDER_CREATED_DESC, 2, &seen, "a:latest c:latest | z:latest <none> | b:latest ");
}

static void by_name_each_image_at_its_first_name(void **state)
{
	struct store *s = ((struct fixture *)*state)->store;
	struct seen seen = { .n = 0 };

	fill(s);
	make_image(s, &(struct image_spec){ .name = "nameless 2", .created = 60 });
	assert_list(s, IMAGE_ORDER_NAME, 100, &seen, "a:latest b:latest c:latest z:latest <none> <none> ");
	for (size_t limit = 1; limit < 6; limit++) {
		struct buf expected = BUF_INIT(1000);
		const char *names[] = { "a:latest", "b:latest", "c:latest", "z:latest", "<none>", "<none>" };

		for (size_t i = 0; i < ARRAY_LEN(names); i++)
			buf_printf(&expected, "%s%s ", i && i % limit == 0 ? "| " : "", names[i]);
		assert_list(s, IMAGE_ORDER_NAME, limit, &seen, buf_text(&expected));
		buf_free(&expected);
	}
}

static void what_is_filtered_out_does_not_count(void **state)
{
	struct store *s = ((struct fixture *)*state)->store;
	struct seen seen = { .filter_odd = 1 };

	fill(s);
	assert_list(s, IMAGE_ORDER_CREATED_DESC, 1, &seen, "c:latest | <none> ");
}

static void pages_go_on_after_the_image_of_the_token_is_gone(void **state)
{
	struct store *s = ((struct fixture *)*state)->store;
	struct seen seen = { .remove = "a" };

	fill(s);
	assert_list(s, IMAGE_ORDER_NAME, 1, &seen, "a:latest | b:latest | c:latest | m:latest | z:latest | <none> ");
	seen.remove = "m";
	assert_list(s, IMAGE_ORDER_CREATED_DESC, 1, &seen, "m:latest | c:latest | z:latest | <none> | b:latest ");
}

static int give_up(UNUSED void *arg, UNUSED const struct image *image)
{
	return E_CANCELLED;
}

static int complain(void *arg, UNUSED const struct image *image)
{
	return fail(arg, E_BAD_CONTENT, "what the visitor says");
}

static void a_visitor_that_fails_ends_the_list(void **state)
{
	struct store *s = ((struct fixture *)*state)->store;
	struct buf after = BUF_INIT(META_KEY_MAX);
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	struct err err = ERR_INIT;
	bool more = false;

	fill(s);
	arena_init(&arena, 1 << 20);
	assert_code(image_list(s, IMAGE_ORDER_NAME, &after, 9, &arena, give_up, NULL, &more, &err), E_CANCELLED);
	assert_string_equal(err.text, "the list was ended");
	assert_code(image_list(s, IMAGE_ORDER_NAME, &after, 9, &arena, complain, &err, &more, &err), E_BAD_CONTENT);
	assert_string_equal(err.text, "what the visitor says");
	buf_free(&after);
}

static void an_arena_that_is_too_small_is_a_limit(void **state)
{
	struct store *s = ((struct fixture *)*state)->store;
	struct buf after = BUF_INIT(META_KEY_MAX);
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	struct seen seen = { .text = BUF_INIT(1000) };
	struct err err = ERR_INIT;
	bool more = false;

	fill(s);
	arena_init(&arena, 64);
	assert_code(image_list(s, IMAGE_ORDER_CREATED_DESC, &after, 9, &arena, see, &seen, &more, &err), E_LIMIT);
	buf_free(&after);
	buf_free(&seen.text);
}

static void the_arena_has_to_hold_one_image_only(void **state)
{
	enum { IMAGES = 5, LABEL = 30000 };
	struct store *s = ((struct fixture *)*state)->store;
	CLEANUP(freep) char *label = malloc(LABEL + 1);

	assert_non_null(label);
	memset(label, 'l', LABEL);
	label[LABEL] = 0;
	for (int i = 0; i < IMAGES; i++) {
		char name[8];

		snprintf(name, sizeof name, "n%d", i);
		make_image(s, &(struct image_spec){ .name = name, .refs = { name }, .label = label });
	}
	for (int order = IMAGE_ORDER_CREATED_DESC; order <= IMAGE_ORDER_NAME; order++) {
		struct buf after = BUF_INIT(META_KEY_MAX);
		CLEANUP(arena_free) struct arena arena = { .cap = 0 };
		struct seen seen = { .text = BUF_INIT(1000) };
		struct err err = ERR_INIT;
		bool more;

		arena_init(&arena, 2 * LABEL);
		assert_ok(image_list(s, (enum image_order)order, &after, 64, &arena, see, &seen, &more, &err), &err);
		assert_int_equal(seen.n, IMAGES);
		buf_free(&after);
		buf_free(&seen.text);
	}
}

static void usage_counts_shared_layers_once_and_agrees_with_the_disk(void **state)
{
	struct store *s = ((struct fixture *)*state)->store;
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	struct err err = ERR_INIT;
	struct image image;
	struct usage u;
	int64_t shared;
	bool by_id;

	make_image(s, &(struct image_spec){ .name = "a", .layers = { "base", "x" }, .refs = { "a" } });
	make_image(s, &(struct image_spec){ .name = "b", .layers = { "base", "yy" }, .refs = { "b" } });
	make_image(s, &(struct image_spec){ .name = "a", .manifest = "2", .layers = { "base", "x" } });
	assert_ok(store_usage(s, &u, &err), &err);
	assert_int_equal(u.image_count, 2);
	assert_int_equal(u.layers_size, 1004 + 1001 + 1002);
	assert_int_equal(u.blob_count, 3 + 2 + 3);
	assert_int_equal(u.content_bytes, strlen("base"
						 "x"
						 "yy"
						 "config a"
						 "config b"
						 "manifest a"
						 "manifest a2"
						 "manifest b"));
	assert_int_equal(u.ingest_bytes, 0);
	assert_true(u.metadata_bytes > 0);
	arena_init(&arena, 1 << 20);
	assert_ok(image_resolve(s, "a", &arena, &image, &by_id, &err), &err);
	assert_ok(image_shared_size(s, &image, &shared, &err), &err);
	assert_int_equal(shared, 1004);
	assert_int_equal(store_image_count(s), 2);
	assert_int_equal(store_name_count(s), 2);
}

static int64_t layers_size(struct store *s)
{
	struct err err = ERR_INIT;
	struct usage u;

	assert_ok(store_usage(s, &u, &err), &err);
	return u.layers_size;
}

static void a_layer_on_several_parents_counts_once(void **state)
{
	struct store *s = ((struct fixture *)*state)->store;
	const int64_t x = 1001, pp = 1002, qqq = 1003;
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	CLEANUP(freep) char *said = NULL;
	struct err err = ERR_INIT;
	struct image image;
	int64_t shared;
	bool by_id;

	make_image(s, &(struct image_spec){ .name = "a", .layers = { "pp", "x" }, .refs = { "a" } });
	make_image(s, &(struct image_spec){ .name = "b", .layers = { "qqq", "x" }, .refs = { "b" } });
	make_image(s, &(struct image_spec){ .name = "c", .layers = { "x", "x" }, .refs = { "c" } });
	assert_int_equal(layers_size(s), pp + qqq + x);
	arena_init(&arena, 1 << 20);
	assert_ok(image_resolve(s, "a", &arena, &image, &by_id, &err), &err);
	assert_ok(image_shared_size(s, &image, &shared, &err), &err);
	assert_int_equal(shared, x);
	assert_ok(removal_text(s, "a", false, false, &said, NULL, &err), &err);
	assert_int_equal(layers_size(s), qqq + x);
}

static void sizes_that_nobody_can_add_up_are_as_large_as_can_be(void **state)
{
	struct store *s = ((struct fixture *)*state)->store;
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	struct err err = ERR_INIT;
	struct image image;
	struct usage u;
	int64_t shared;
	bool by_id;

	for (int i = 0; i < 2; i++)
		make_image(s, &(struct image_spec){ .name = i ? "a" : "b",
						    .layers = { "one", "two", "three" },
						    .refs = { i ? "a" : "b" },
						    .files_size = INT64_MAX - 1 });
	arena_init(&arena, 1 << 20);
	assert_ok(image_resolve(s, "a", &arena, &image, &by_id, &err), &err);
	assert_true(image.record->size == INT64_MAX);
	assert_ok(image_shared_size(s, &image, &shared, &err), &err);
	assert_true(shared == INT64_MAX);
	assert_ok(store_usage(s, &u, &err), &err);
	assert_true(u.layers_size == INT64_MAX);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(newest_first_each_image_once),
		TEST(by_name_each_image_at_its_first_name),
		TEST(what_is_filtered_out_does_not_count),
		TEST(pages_go_on_after_the_image_of_the_token_is_gone),
		TEST(a_visitor_that_fails_ends_the_list),
		TEST(an_arena_that_is_too_small_is_a_limit),
		TEST(the_arena_has_to_hold_one_image_only),
		TEST(usage_counts_shared_layers_once_and_agrees_with_the_disk),
		TEST(a_layer_on_several_parents_counts_once),
		TEST(sizes_that_nobody_can_add_up_are_as_large_as_can_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

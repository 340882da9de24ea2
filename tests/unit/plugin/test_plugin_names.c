/* Names in C. That they are those of protoc-gen-c, test_plugin_generated proves by
 * compiling against its messages. */
#include "proto/plugin/names.h"
#include "tests/unit/plugin/plugin_test.h"

static struct arena arena;

static int setup(UNUSED void **state)
{
	arena_init(&arena, 1024 * 1024);
	return 0;
}

static int teardown(UNUSED void **state)
{
	arena_free(&arena);
	return 0;
}

static void types_are_camel_case_by_piece(UNUSED void **state)
{
	assert_string_equal(name_type(&arena, "imaged.v1.PullRequest"), "Imaged__V1__PullRequest");
	assert_string_equal(name_type(&arena, "my_pkg.foo_bar._lead"), "MyPkg__FooBar__Lead");
	assert_string_equal(name_type(&arena, "Bare"), "Bare");
	assert_string_equal(name_type(&arena, "a.b1_2c"), "A__B12c");
}

static void words_split_where_a_capital_follows_a_small_letter(UNUSED void **state)
{
	assert_string_equal(name_lower(&arena, "imaged.v1.ImageService"), "imaged__v1__image_service");
	assert_string_equal(name_lower(&arena, "x.HTTPProxy"), "x__httpproxy");
	assert_string_equal(name_lower(&arena, "x.V1alpha"), "x__v1alpha");
	assert_string_equal(name_lower(&arena, "do_IT"), "do__it");
	assert_string_equal(name_lower(&arena, "X9Y"), "x9_y");
	assert_string_equal(name_upper(&arena, "imaged.v1.ImageService"), "IMAGED__V1__IMAGE_SERVICE");
	assert_string_equal(name_upper(&arena, "ListImages"), "LIST_IMAGES");
}

static void words_of_c_get_an_underscore_as_members(UNUSED void **state)
{
	assert_string_equal(name_member(&arena, "register"), "register_");
	assert_string_equal(name_member(&arena, "delete"), "delete_");
	assert_string_equal(name_member(&arena, "errno"), "errno_");
	assert_string_equal(name_member(&arena, "registers"), "registers");
}

static void different_paths_have_different_identifiers(UNUSED void **state)
{
	static const char *const paths[] = { "a/b.proto", "a_b.proto", "a.b.proto", "a_2fb.proto", "a-b.proto" };

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		assert_true(name_is_identifier(name_path(&arena, paths[i])));
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(name_path(&arena, paths[i]), name_path(&arena, paths[k]));
	}
}

static void identifiers_are_recognised(UNUSED void **state)
{
	assert_true(name_is_identifier("_a9"));
	assert_false(name_is_identifier(""));
	assert_false(name_is_identifier("9a"));
	assert_false(name_is_identifier("a-b"));
	assert_false(name_is_identifier("a\xc3\xa9"));
}

static void names_are_null_without_memory(UNUSED void **state)
{
	CLEANUP(arena_free) struct arena small;

	arena_init(&small, 8);
	assert_null(name_type(&small, "imaged.v1.PullRequest"));
	assert_null(name_lower(&small, "imaged.v1.PullRequest"));
	assert_null(name_path(&small, "imaged/v1/image.proto"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(types_are_camel_case_by_piece),
		cmocka_unit_test(words_split_where_a_capital_follows_a_small_letter),
		cmocka_unit_test(words_of_c_get_an_underscore_as_members),
		cmocka_unit_test(different_paths_have_different_identifiers),
		cmocka_unit_test(identifiers_are_recognised),
		cmocka_unit_test(names_are_null_without_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

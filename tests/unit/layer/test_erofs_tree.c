#include "service/layer/erofs/tree.h"

#include <stdio.h>

#include "proto/runtime/mem.h"
#include "tests/unit/layer/craft.h"

enum { NAMES = 1000, MEMORY = 1024 * 1024 };

static struct bytes name_of(unsigned number, char room[16])
{
	int len = snprintf(room, 16, "n%06u", number);

	return (struct bytes){ (const uint8_t *)room, (size_t)len };
}

static void name(struct erofs_tree *t, struct bytes text)
{
	struct err err = ERR_INIT;
	struct erofs_inode *inode;

	assert_ok(erofs_tree_make_inode(t, EROFS_TYPE_REGULAR, &inode, &err), &err);
	assert_ok(erofs_tree_name(t, t->root, text, inode, &err), &err);
}

static void assert_sorted(const struct erofs_tree *t, size_t n)
{
	struct erofs_name **names = calloc(n, sizeof *names);

	assert_non_null(names);
	assert_int_equal(t->root->n_names, n);
	erofs_tree_list(t->root, names);
	for (size_t i = 1; i < n; i++) {
		size_t common = min_size(names[i - 1]->len, names[i]->len);
		int order = memcmp(names[i - 1]->text, names[i]->text, common);

		assert_true(order < 0 || (!order && names[i - 1]->len < names[i]->len));
	}
	free(names);
}

/* Each is found, and what is not there is not; the second naming replaces the first. */
static void assert_complete(struct erofs_tree *t)
{
	char room[16];

	assert_sorted(t, NAMES);
	for (unsigned i = 0; i < NAMES; i++) {
		struct erofs_name *found = erofs_tree_find(t->root, name_of(2 * i, room));
		struct erofs_inode *inode = found ? found->inode : NULL;

		assert_non_null(found);
		name(t, name_of(2 * i, room));
		assert_ptr_equal(erofs_tree_find(t->root, name_of(2 * i, room)), found);
		assert_ptr_not_equal(found->inode, inode);
		assert_null(erofs_tree_find(t->root, name_of(2 * i + 1, room)));
	}
	assert_sorted(t, NAMES);
}

/* `step` and NAMES have no common factor: every name once. */
static void check_order(unsigned first, unsigned step)
{
	struct err err = ERR_INIT;
	struct erofs_tree t;
	char room[16];

	assert_ok(erofs_tree_init(&t, MEMORY, &err), &err);
	for (unsigned i = 0; i < NAMES; i++)
		name(&t, name_of(2 * ((first + i * step) % NAMES), room));
	assert_complete(&t);
	erofs_tree_free(&t);
}

static void names_in_order(void **state UNUSED)
{
	check_order(0, 1);
}

static void names_in_reverse_order(void **state UNUSED)
{
	check_order(NAMES - 1, NAMES - 1);
}

static void names_in_no_order(void **state UNUSED)
{
	check_order(0, 7);
	check_order(500, 1);
	check_order(999, 333);
}

static void a_name_and_its_beginnings(void **state UNUSED)
{
	static const char *const texts[] = { "b", "a", "bb", "aa", "ab", "bbb", "b-", "" };
	struct err err = ERR_INIT;
	struct erofs_tree t;

	assert_ok(erofs_tree_init(&t, MEMORY, &err), &err);
	for (size_t i = 0; *texts[i]; i++)
		name(&t, (struct bytes){ (const uint8_t *)texts[i], strlen(texts[i]) });
	assert_sorted(&t, ARRAY_LEN(texts) - 1);
	assert_null(erofs_tree_find(t.root, (struct bytes){ (const uint8_t *)"bbbb", 4 }));
	erofs_tree_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_in_order),
		cmocka_unit_test(names_in_reverse_order),
		cmocka_unit_test(names_in_no_order),
		cmocka_unit_test(a_name_and_its_beginnings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

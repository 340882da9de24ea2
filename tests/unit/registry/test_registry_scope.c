/* Sets of scopes. */
#include "service/registry/scope.h"
#include "tests/unit/types/unit.h"

static void list_of(const struct scopes *s, char *out, size_t max)
{
	size_t used = 0;

	out[0] = 0;
	for (size_t i = 0; i < s->n; i++)
		used += (size_t)snprintf(out + used, max - used, "%s%s", i ? " " : "", s->items[i]);
}

static void one_resource_is_named_once_with_all_its_actions(void **state)
{
	static const struct {
		const char *list, *expected;
	} cases[] = {
		{ "repository:a/b:pull", "repository:a/b:pull" },
		{ "repository:a:pull repository:a:pull", "repository:a:pull" },
		{ "repository:a:pull repository:a:pull,push", "repository:a:pull,push" },
		{ "repository:a:push,pull repository:a:pull", "repository:a:push,pull" },
		{ "repository:a:pull,push repository:b:pull repository:a:delete",
		  "repository:a:pull,push,delete repository:b:pull" },
		{ "repository:ab:pull repository:a:pull", "repository:ab:pull repository:a:pull" },
		{ "repository:a:pull repository(plugin):a:pull", "repository:a:pull repository(plugin):a:pull" },
		{ "repository:host:5000/a:pull repository:host:5000/a:push", "repository:host:5000/a:pull,push" },
		{ "registry:catalog:*  registry:catalog:*", "registry:catalog:*" },
		{ "repository:a:pull,,push repository:a:,pull", "repository:a:pull,,push" },
		/* of another kind: as it is */
		{ "aws aws repository:a:", "aws repository:a:" },
		{ "", "" },
	};
	char got[1024];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct scopes s = { 0 };

		scopes_add_list(&s, cases[i].list);
		list_of(&s, got, sizeof got);
		assert_string_equal(got, cases[i].expected);
	}
}

static void what_does_not_fit_leaves_the_set_as_it_was(void **state)
{
	char big[SCOPE_MAX + 32] = "repository:a:", name[64];
	struct scopes s = { 0 };

	(void)state;
	memset(big + 13, 'x', SCOPE_MAX);
	assert_false(scopes_add(&s, big));
	assert_false(scopes_add(&s, "repository:a\r\nX-Evil: 1:pull"));
	assert_false(scopes_add(&s, "repository:\xc3\xa4:pull"));
	assert_int_equal(s.n, 0);
	assert_true(scopes_add(&s, ""));
	big[SCOPE_MAX - 1] = 0;
	assert_true(scopes_add(&s, big));
	assert_false(scopes_add(&s, "repository:a:pull"));
	assert_string_equal(s.items[0], big);
	for (unsigned i = 1; i < SCOPES_MAX; i++) {
		snprintf(name, sizeof name, "repository:r%u:pull", i);
		assert_true(scopes_add(&s, name));
	}
	assert_false(scopes_add(&s, "repository:one-more:pull"));
	assert_int_equal(s.n, SCOPES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_resource_is_named_once_with_all_its_actions),
		cmocka_unit_test(what_does_not_fit_leaves_the_set_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Names of archive members, and where their links point. */
#include "tests/unit/types/unit.h"

#include "store/types/member_name.h"

struct pair {
	const char *given, *wanted;
};

static void names_have_one_form(void **state UNUSED)
{
	static const struct pair cases[] = {
		{ "a", "a" },
		{ "a/b/layer.tar", "a/b/layer.tar" },
		{ "./a", "a" },
		{ "././a/", "a" },
		{ "a/", "a" },
		{ "./blobs/sha256/", "blobs/sha256" },
		{ ".", "." },
		{ "./", "." },
		{ "././", "." },
		{ "...", "..." },
		{ ".hidden", ".hidden" },
		{ "a..b/..c/d..", "a..b/..c/d.." },
		{ "\xff\xfe", "\xff\xfe" },
		{ "sha256:12.tar.gz", "sha256:12.tar.gz" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char name[MEMBER_NAME_ROOM];
		struct err err = ERR_INIT;

		assert_ok(member_name_normalize(bytes_of(cases[i].given), name, &err), &err);
		assert_string_equal(name, cases[i].wanted);
	}
}

static void other_names_are_refused_and_named(void **state UNUSED)
{
	static const struct pair cases[] = {
		{ "", "archive member \"\": its name is empty" },
		{ "/", "archive member \"/\": its name is absolute" },
		{ "/etc/passwd", "archive member \"/etc/passwd\": its name is absolute" },
		{ ".//etc", "archive member \".//etc\": its name is not a plain path: nothing between two slashes" },
		{ "a//b", "archive member \"a//b\": its name is not a plain path: nothing" },
		{ "a//", "archive member \"a//\": its name is not a plain path: nothing" },
		{ "..", "archive member \"..\": its name is not a plain path: \"..\"" },
		{ "../victim/dotdot", "archive member \"../victim/dotdot\": its name is not a plain path: \"..\"" },
		{ "./..", "archive member \"./..\": its name is not a plain path: \"..\"" },
		{ "a/../b", "archive member \"a/../b\": its name is not a plain path: \"..\"" },
		{ "a/..", "archive member \"a/..\": its name is not a plain path: \"..\"" },
		{ "a/../", "archive member \"a/../\": its name is not a plain path: \"..\"" },
		{ "a/./b", "archive member \"a/./b\": its name is not a plain path: \".\"" },
		{ "a/.", "archive member \"a/.\": its name is not a plain path: \".\"" },
		{ "\033[31m/../\xc3\xa4", "archive member \"?[31m/../??\": its name is not a plain path" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char name[MEMBER_NAME_ROOM] = "untouched";
		struct err err = ERR_INIT;

		assert_fails(member_name_normalize(bytes_of(cases[i].given), name, &err), &err, E_BAD_CONTENT,
			     cases[i].wanted);
		assert_string_equal(name, "untouched");
	}
}

static void a_nul_does_not_end_a_name(void **state UNUSED)
{
	struct bytes name = { (const uint8_t *)"a\0b", 3 };
	char out[MEMBER_NAME_ROOM];
	struct err err = ERR_INIT;

	assert_fails(member_name_normalize(name, out, &err), &err, E_BAD_CONTENT,
		     "archive member \"a?b\": its name is with a NUL in it");
	assert_fails(member_name_resolve("m", name, out, &err), &err, E_BAD_CONTENT,
		     "archive member \"m\": its link's target is with a NUL in it");
}

static void names_have_a_longest(void **state UNUSED)
{
	static char longest[MEMBER_NAME_MAX + 2];
	char out[MEMBER_NAME_ROOM];
	struct err err = ERR_INIT;

	memset(longest, 'n', MEMBER_NAME_MAX);
	assert_ok(member_name_normalize(bytes_of(longest), out, &err), &err);
	assert_string_equal(out, longest);
	assert_ok(member_name_resolve("m", bytes_of(longest), out, &err), &err);
	assert_string_equal(out, longest);
	assert_ok(member_name_resolve(longest, bytes_of("x"), out, &err), &err);
	assert_string_equal(out, "x");
	assert_fails(member_name_resolve("d/m", bytes_of(longest), out, &err), &err, E_BAD_CONTENT,
		     "archive member \"d/m\": its link's target is too long");
	memcpy(longest + MEMBER_NAME_MAX - 2, "/m", 2);
	assert_fails(member_name_resolve(longest, bytes_of("ab"), out, &err), &err, E_BAD_CONTENT,
		     "archive member \"nnn");
	memset(longest, 'n', MEMBER_NAME_MAX + 1);
	assert_fails(member_name_normalize(bytes_of(longest), out, &err), &err, E_BAD_CONTENT, "archive member \"nnn");
	assert_non_null(strstr(err.text, "nnn...\": its name is too long"));
	assert_fails(member_name_resolve("m", bytes_of(longest), out, &err), &err, E_BAD_CONTENT,
		     "archive member \"m\": its link's target is too long");
}

static void links_are_followed_from_their_folder(void **state UNUSED)
{
	static const struct {
		const char *member, *target, *wanted;
	} cases[] = {
		{ "id1/layer.tar", "../id2/layer.tar", "id2/layer.tar" }, /* Docker 20.10 */
		{ "a", "b", "b" },
		{ "a", "./b/", "b" },
		{ "d/a", "b", "d/b" },
		{ "d/e/a", "../../b", "b" },
		{ "d/e/a", "../.././x/../b", "b" },
		{ "d/e/a", "../f/b", "d/f/b" },
		{ "d/a", "..", "." },
		{ "d/a", ".", "d" },
		{ "a", ".", "." },
		{ "a", "...", "..." },
		{ "<hex>.tar", "sha256/x", "sha256/x" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char name[MEMBER_NAME_ROOM];
		struct err err = ERR_INIT;

		assert_ok(member_name_resolve(cases[i].member, bytes_of(cases[i].target), name, &err), &err);
		assert_string_equal(name, cases[i].wanted);
	}
}

static void links_that_leave_the_archive_are_refused(void **state UNUSED)
{
	static const struct {
		const char *member, *target, *wanted;
	} cases[] = {
		{ "a", "..", "outside of the archive" },
		{ "a", "../x", "outside of the archive" },
		{ "d/a", "../../victim/hello", "outside of the archive" },
		{ "d/a", "x/../../../d/b", "outside of the archive" },
		{ "d/a", "/etc/passwd", "absolute" },
		{ "d/a", "/../victim/hello", "absolute" },
		{ "d/a", "", "empty" },
		{ "d/a", "x//y", "not a plain path" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char name[MEMBER_NAME_ROOM] = "untouched", wanted[200];
		struct err err = ERR_INIT;

		snprintf(wanted, sizeof wanted, "archive member \"%s\": its link's target is %s", cases[i].member,
			 cases[i].wanted);
		assert_fails(member_name_resolve(cases[i].member, bytes_of(cases[i].target), name, &err), &err,
			     E_BAD_CONTENT, wanted);
		assert_string_equal(name, "untouched");
	}
}

/* moby's cases: each archive has a name or a target that leaves it, or links into a
 * folder that is a link. Here the first ones are refused; a name below a link is only
 * a name, since nothing is unpacked. */
static int judge(json_t *entry)
{
	const char *name = json_string_value(json_object_get(entry, "Name"));
	const char *link = json_string_value(json_object_get(entry, "Linkname"));
	const char *type = json_string_value(json_object_get(json_object_get(entry, "Typeflag"), "$go"));
	char out[MEMBER_NAME_ROOM], target[MEMBER_NAME_ROOM];
	int r = member_name_normalize(bytes_of(name), out, NULL);

	if (r == OK && link && !strcmp(type, "tar.TypeSymlink"))
		r = member_name_resolve(out, bytes_of(link), target, NULL);
	else if (r == OK && link)
		r = member_name_normalize(bytes_of(link), target, NULL);
	return r;
}

static bool any_is_refused(json_t *archive)
{
	bool refused = false;

	for (size_t i = 0; i < json_array_size(archive); i++)
		refused |= judge(json_array_get(archive, i)) == E_BAD_CONTENT;
	return refused;
}

static void mobys_breakouts_are_refused(void **state UNUSED)
{
	static const char *const tables[] = { "TestApplyLayerInvalidFilenames", "TestApplyLayerInvalidHardlink",
					      "TestApplyLayerInvalidSymlink" };
	json_t *root = shared_json("cases/registry/archive-breakouts/moby_applylayer_invalid.json");
	size_t seen = 0;

	if (!root)
		skip();
	for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
		json_t *archives = json_object_get(root, tables[t]);

		for (size_t i = 0; i < json_array_size(archives); i++, seen++)
			if (!any_is_refused(json_array_get(archives, i)))
				failed("%s[%zu]: every name and target was accepted", tables[t], i);
	}
	assert_int_equal(seen, 14);
	json_decref(root);
}

/* ---- names in documents ---------------------------------------------------------- */

static void names_are_cleaned_as_they_are_joined_to_a_directory(void **state UNUSED)
{
	static const struct {
		const char *text, *name;
		size_t above;
	} cases[] = {
		{ "a.json", "a.json", 0 },
		{ "a/b", "a/b", 0 },
		{ "/etc/passwd", "etc/passwd", 0 },
		{ "./a", "a", 0 },
		{ "a//b/./c/", "a/b/c", 0 },
		{ "a/../b", "b", 0 },
		{ "", ".", 0 },
		{ "/", ".", 0 },
		{ "a/..", ".", 0 },
		{ "..", ".", 1 },
		{ "../../a", "a", 2 },
		{ "a/../../b/c", "b/c", 1 },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char name[MEMBER_NAME_ROOM];
		struct err err = ERR_INIT;
		size_t above = 9;

		assert_ok(member_name_clean(bytes_of(cases[i].text), name, &above, &err), &err);
		assert_string_equal(name, cases[i].name);
		assert_int_equal(above, cases[i].above);
	}
}

static void names_that_are_too_long_or_hold_a_nul_are_refused(void **state UNUSED)
{
	char name[MEMBER_NAME_ROOM] = "x", longer[MEMBER_NAME_MAX + 1];
	struct err err = ERR_INIT;
	size_t above;

	memset(longer, 'a', sizeof longer);
	assert_ok(member_name_clean((struct bytes){ (uint8_t *)longer, MEMBER_NAME_MAX }, name, &above, &err), &err);
	assert_fails(member_name_clean((struct bytes){ (uint8_t *)longer, sizeof longer }, name, &above, &err), &err,
		     E_BAD_CONTENT, "archive member");
	assert_fails(member_name_clean((struct bytes){ (const uint8_t *)"a\0b", 3 }, name, &above, &err), &err,
		     E_BAD_CONTENT, "archive member \"a?b\": its name is with a NUL in it");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_cleaned_as_they_are_joined_to_a_directory),
		cmocka_unit_test(names_that_are_too_long_or_hold_a_nul_are_refused),
		cmocka_unit_test(names_have_one_form),
		cmocka_unit_test(other_names_are_refused_and_named),
		cmocka_unit_test(a_nul_does_not_end_a_name),
		cmocka_unit_test(names_have_a_longest),
		cmocka_unit_test(links_are_followed_from_their_folder),
		cmocka_unit_test(links_that_leave_the_archive_are_refused),
		cmocka_unit_test(mobys_breakouts_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

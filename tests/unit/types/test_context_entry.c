/* Entries of build contexts: their order, what is sound, and the digest of a list. */
#include "tests/unit/types/unit.h"

#include <sys/stat.h>

#include "store/types/context_entry.h"

static struct context_entry file(const char *path)
{
	return (struct context_entry){ .path = bytes_of(path), .mode = S_IFREG | 0644 };
}

static void paths_are_in_the_order_of_a_walk(void **state UNUSED)
{
	static const char *const sorted[] = {
		"a", "a/b", "a/b/c", "a/b!", "a/c", "a!", "a-b", "a.b", "ab", "b", "\xff"
	};

	for (size_t i = 0; i < ARRAY_LEN(sorted); i++)
		for (size_t k = 0; k < ARRAY_LEN(sorted); k++) {
			int order = context_path_compare(bytes_of(sorted[i]), bytes_of(sorted[k]));

			if ((order > 0) - (order < 0) != (i > k) - (i < k))
				failed("%s and %s", sorted[i], sorted[k]);
		}
}

static void below_and_parent(void **state UNUSED)
{
	assert_true(context_path_is_below(bytes_of("a"), bytes_of("a/b")));
	assert_true(context_path_is_below(bytes_of(""), bytes_of("a")));
	assert_false(context_path_is_below(bytes_of("a"), bytes_of("a")));
	assert_false(context_path_is_below(bytes_of("a"), bytes_of("ab")));
	assert_false(context_path_is_below(bytes_of(""), bytes_of("")));
	assert_int_equal(context_path_parent(bytes_of("a/b/c")).len, 3);
	assert_int_equal(context_path_parent(bytes_of("a")).len, 0);
}

static void unsound_paths_are_refused(void **state UNUSED)
{
	static const char *const bad[] = { "",	 "/",	"/a",  "a/",   "a//b",	 ".",
					   "..", "./a", "a/.", "a/..", "a/../b", "a/./b" };
	static const char *const good[] = { "a", "a/b", "...", "..a", ".a/b.", "\xff\xfe", "a b" };
	char name[CONTEXT_NAME_MAX + 2], path[CONTEXT_PATH_MAX + 3];
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_fails(context_path_check(bytes_of(bad[i]), &err), &err, E_INVALID, "context path");
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_ok(context_path_check(bytes_of(good[i]), &err), &err);
	assert_fails(context_path_check((struct bytes){ (const uint8_t *)"a\0b", 3 }, &err), &err, E_INVALID,
		     "context path \"a?b\" holds a NUL");
	memset(name, 'n', sizeof name);
	assert_ok(context_path_check((struct bytes){ (uint8_t *)name, CONTEXT_NAME_MAX }, &err), &err);
	assert_fails(context_path_check((struct bytes){ (uint8_t *)name, CONTEXT_NAME_MAX + 1 }, &err), &err, E_INVALID,
		     "context path");
	for (size_t i = 0; i < sizeof path; i++)
		path[i] = i % 2 ? '/' : 'p';
	assert_ok(context_path_check((struct bytes){ (uint8_t *)path, CONTEXT_PATH_MAX }, &err), &err);
	assert_fails(context_path_check((struct bytes){ (uint8_t *)path, CONTEXT_PATH_MAX + 2 }, &err), &err, E_INVALID,
		     "context path");
}

static void unsound_entries_are_refused(void **state UNUSED)
{
	struct context_entry e = file("a"), bad[] = { e, e, e, e, e, e, e, e };
	struct err err = ERR_INIT;

	assert_ok(context_entry_check(&e, &err), &err);
	bad[0].mode = S_IFSOCK | 0644;
	bad[1].mode = 0644;
	bad[2].mode |= 1u << 20;
	bad[3].size = -1;
	bad[4].link = bytes_of("x");
	bad[5].device = 1;
	bad[6].same_as = bytes_of("..");
	bad[7].mode = S_IFLNK | 0777;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_fails(context_entry_check(&bad[i], &err), &err, E_INVALID, "context entry \"a\": ");
}

static void extended_attributes_are_few_and_in_order(void **state UNUSED)
{
	static uint8_t large[CONTEXT_XATTRS_MAX];
	struct context_xattr good[] = { { bytes_of("security.capability"), bytes_of("x") },
					{ bytes_of("user.a"), bytes_of("") },
					{ bytes_of("user.b"), bytes_of("") } };
	struct context_xattr other = { bytes_of("security.selinux"), bytes_of("x") };
	struct context_xattr much[] = { { bytes_of("user.a"), { large, sizeof large } } };
	struct err err = ERR_INIT;

	assert_ok(context_xattrs_check(good, 3, bytes_of("f"), &err), &err);
	assert_fails(context_xattrs_check(&other, 1, bytes_of("f"), &err), &err, E_INVALID, "context entry \"f\"");
	assert_fails(context_xattrs_check(much, 1, bytes_of("f"), &err), &err, E_INVALID, "context entry \"f\"");
	good[2].name = good[1].name;
	assert_fails(context_xattrs_check(good, 3, bytes_of("f"), &err), &err, E_INVALID, "context entry \"f\"");
}

/* By hand: what a client in another language computes (build.proto). */
static void the_digest_is_that_of_the_proto(void **state UNUSED)
{
	static const uint8_t wire[] = {
		1,    0,    0,	  0,	'f',				    /* path */
		0xa4, 0x81, 0,	  0,					    /* 0100644 */
		5,    0,    0,	  0,	0,    0,    0,	  0,		    /* size */
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,		    /* mtime -1 */
		0,    0,    0,	  0,	0,    0,    0,	  0,		    /* device */
		9,    0,    0,	  0,	0,    0,    0,	  0,		    /* stamp */
		0,    0,    0,	  0,	0,    0,    0,	  0,	0, 0, 0, 0, /* link, same_as, xattrs */
	};
	struct context_entry e = file("f");
	struct digest wanted, got;
	struct hasher h;

	e.size = 5;
	e.mtime_ns = -1;
	e.stamp = 9;
	hasher_init(&h, DIGEST_SHA256);
	context_entry_hash(&h, &e);
	got = hasher_final(&h);
	digest_of(DIGEST_SHA256, (struct bytes){ wire, sizeof wire }, &wanted);
	assert_true(digest_eq(&wanted, &got));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_are_in_the_order_of_a_walk),
		cmocka_unit_test(below_and_parent),
		cmocka_unit_test(unsound_paths_are_refused),
		cmocka_unit_test(unsound_entries_are_refused),
		cmocka_unit_test(extended_attributes_are_few_and_in_order),
		cmocka_unit_test(the_digest_is_that_of_the_proto),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

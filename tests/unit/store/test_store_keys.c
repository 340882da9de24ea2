#include "tests/unit/store/fixture.h"

#include "store/meta/keys.h"

static const struct digest a = { DIGEST_SHA256, { 0xa1, 0xff, 3 } }, b = { DIGEST_SHA512, { 0xb2, 0, 9, [63] = 7 } };

static void keys_of_digests_read_back(void **state UNUSED)
{
	struct key k = key_config(&a, &b);
	struct digest x, y;

	assert_true(key_parse_config(key_bytes(&k), &x, &y));
	assert_true(digest_eq(&x, &a) && digest_eq(&y, &b));
	k.len--;
	assert_false(key_parse_config(key_bytes(&k), &x, &y));
	k.len += 2;
	k.bytes[k.len - 1] = 0;
	assert_false(key_parse_config(key_bytes(&k), &x, &y));
	k = key_image(&a);
	assert_true(key_parse_image(key_bytes(&k), &x));
	assert_false(key_parse_index(key_bytes(&k), &x));
	k.bytes[1] = 9; /* no such algorithm */
	assert_false(key_parse_image(key_bytes(&k), &x));
	assert_false(key_parse_image((struct bytes){ NULL, 0 }, &x));
}

static void edges_of_every_kind_read_back(void **state UNUSED)
{
	struct edge_parent parents[] = {
		{ .kind = EDGE_MANIFEST, .digest = a },
		{ .kind = EDGE_INDEX, .digest = b },
		{ .kind = EDGE_NAME, .reference = "docker.io/library/busybox:latest" },
		{ .kind = EDGE_LEASE, .lease = { { 1, 2, 3, [15] = 9 } } },
	};

	for (size_t i = 0; i < ARRAY_LEN(parents); i++) {
		struct key k = key_edge(&b, &parents[i]), prefix = key_edge_kind_prefix(&b, parents[i].kind);
		struct edge_parent found;
		struct digest child;

		assert_memory_equal(k.bytes, prefix.bytes, prefix.len);
		assert_true(key_parse_edge(key_bytes(&k), &child, &found));
		assert_true(digest_eq(&child, &b));
		assert_int_equal(found.kind, parents[i].kind);
		if (found.kind == EDGE_NAME)
			assert_string_equal(found.reference, parents[i].reference);
		else if (found.kind == EDGE_LEASE)
			assert_memory_equal(&found.lease, &parents[i].lease, sizeof found.lease);
		else
			assert_true(digest_eq(&found.digest, &parents[i].digest));
		k.len--;
		assert_true(found.kind == EDGE_NAME || !key_parse_edge(key_bytes(&k), &child, &found));
	}
}

static void keys_of_builds_read_back(void **state UNUSED)
{
	struct key k = key_build("0dn67dn820lq65ce9obn7lfj5"), beginning = key_build("0dn6"), all = key_build("");
	char id[BUILD_KEY_TEXT_MAX];
	struct digest x;

	assert_true(key_parse_build(key_bytes(&k), id));
	assert_string_equal(id, "0dn67dn820lq65ce9obn7lfj5");
	assert_memory_equal(k.bytes, beginning.bytes, beginning.len);
	assert_memory_equal(k.bytes, all.bytes, all.len);
	assert_false(key_parse_build(key_bytes(&all), id));
	k.len++;
	assert_false(key_parse_build(key_bytes(&k), id));
	k = key_step(&a);
	assert_true(key_parse_step(key_bytes(&k), &x));
	assert_true(digest_eq(&x, &a));
	assert_false(key_parse_step_alias(key_bytes(&k), &x));
	assert_false(key_parse_note(key_bytes(&k), &x));
	assert_false(key_parse_cache_mount(key_bytes(&k), &x));
}

static void the_longest_names_fit_and_longer_ones_do_not(void **state UNUSED)
{
	char name[REFERENCE_TEXT_MAX] = { 0 };
	struct edge_parent parent = { .kind = EDGE_NAME };
	struct key k;

	/* the longest domain/path, and "@sha512:…" */
	memset(name, 'n', REFERENCE_NAME_MAX + 1 + 7 + 128);
	assert_true(key_name_fits(name));
	memcpy(parent.reference, name, sizeof name);
	k = key_edge(&b, &parent);
	assert_true(k.len <= META_KEY_MAX);
	memset(name, 'n', sizeof name - 1);
	assert_false(key_name_fits(name));
	assert_false(key_name_fits(""));
}

static int compare_keys(const struct key *x, const struct key *y)
{
	int c = memcmp(x->bytes, y->bytes, x->len < y->len ? x->len : y->len);

	return c ? c : (int)x->len - (int)y->len;
}

static void newer_images_come_first_over_the_whole_range_of_years(void **state UNUSED)
{
	static const struct timestamp newest_first[] = {
		{ true, 253402300799, 999999999 }, /* the end of 9999 */
		{ true, 2147483648, 0 },	   /* 2038-01-19 */
		{ true, 1600000000, 5 },
		{ true, 1600000000, 4 },
		{ true, 1600000000, 0 },
		{ true, 0, 0 },
		{ true, -1, 999999999 },
		{ true, -62135596800, 0 }, /* year 1 */
		{ false, 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(newest_first); i++) {
		struct key k = key_order(&newest_first[i], &a), before;
		struct timestamp found;
		struct digest d;

		assert_true(key_parse_order(key_bytes(&k), &found, &d));
		assert_true(digest_eq(&d, &a));
		assert_int_equal(found.present, newest_first[i].present);
		if (found.present) {
			assert_true(found.seconds == newest_first[i].seconds);
			assert_int_equal(found.nanos, newest_first[i].nanos);
		}
		if (i) {
			before = key_order(&newest_first[i - 1], &a);
			assert_true(compare_keys(&before, &k) < 0);
		}
	}
}

static void assert_prefix(const char *hex, const char *digest_hex_text, bool expected)
{
	char text[DIGEST_TEXT_MAX];
	struct key from, to, k;
	struct digest d;

	snprintf(text, sizeof text, "sha256:%s", digest_hex_text);
	assert_int_equal(digest_parse(text, &d, NULL), OK);
	key_image_hex_range(hex, &from, &to);
	k = key_image(&d);
	assert_int_equal(compare_keys(&from, &k) <= 0 && compare_keys(&k, &to) < 0, expected);
}

static void a_prefix_of_hex_digits_is_a_range_of_keys(void **state UNUSED)
{
	/* 8 digits more make a whole digest */
#define ZEROS56 "00000000000000000000000000000000000000000000000000000000"
#define FS56 "ffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
	assert_prefix("a", "a0000000" ZEROS56, true);
	assert_prefix("a", "afffffff" FS56, true);
	assert_prefix("a", "b0000000" ZEROS56, false);
	assert_prefix("a", "9fffffff" FS56, false);
	assert_prefix("af", "afffffff" FS56, true);
	assert_prefix("af", "b0000000" ZEROS56, false);
	assert_prefix("abf", "abffffff" FS56, true);
	assert_prefix("abf", "abefffff" FS56, false);
	assert_prefix("abf", "ac000000" ZEROS56, false);
	assert_prefix("f", "ffffffff" FS56, true);
	assert_prefix("ffff", "ffffffff" FS56, true);
	assert_prefix("fffff", "fffff000" ZEROS56, true);
	assert_prefix("fffff", "ffffefff" FS56, false);
	assert_prefix("00", "00ffffff" FS56, true);
	assert_prefix("12345678" FS56, "12345678" FS56, true);
	assert_prefix("12345678" FS56, "12345677" FS56, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_of_digests_read_back),
		cmocka_unit_test(edges_of_every_kind_read_back),
		cmocka_unit_test(keys_of_builds_read_back),
		cmocka_unit_test(the_longest_names_fit_and_longer_ones_do_not),
		cmocka_unit_test(newer_images_come_first_over_the_whole_range_of_years),
		cmocka_unit_test(a_prefix_of_hex_digits_is_a_range_of_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "tests/unit/types/unit.h"

#include "store/types/digest.h"

#define HEX64 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define HEX128                                                             \
	"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" \
	"2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"

static void a_digest_reads_back_as_it_was_written(void **state UNUSED)
{
	static const char *const texts[] = { "sha256:" HEX64, "sha512:" HEX128 };
	char text[DIGEST_TEXT_MAX], hex[DIGEST_TEXT_MAX];
	struct err err = ERR_INIT;
	struct digest d;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		assert_ok(digest_parse(texts[i], &d, &err), &err);
		assert_string_equal(digest_text(&d, text), texts[i]);
		assert_string_equal(digest_hex(&d, hex), texts[i] + 7);
		assert_int_equal(digest_len(&d) * 2, strlen(hex));
	}
}

static void malformed_digests_are_refused_with_the_words_of_docker(void **state UNUSED)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "", "invalid checksum digest format" },
		{ "sha256", "invalid checksum digest format" },
		{ "sha256:", "invalid checksum digest format" },
		{ ":" HEX64, "invalid checksum digest format" },
		{ HEX64, "invalid checksum digest format" },
		{ "sha256:ABCD16bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		  "invalid checksum digest format" },
		{ "sha256:../6bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015adxx",
		  "invalid checksum digest format" },
		{ "sha256:ba78", "invalid checksum digest length" },
		{ "sha256:" HEX64 "00", "invalid checksum digest length" },
		{ "sha256:" HEX64 " ", "invalid checksum digest length" },
		{ "sha512:" HEX64, "invalid checksum digest length" },
		{ "md5:0123456789abcdef0123456789abcdef", "unsupported digest algorithm" },
		{ "sha384:" HEX64, "unsupported digest algorithm" },
		{ "SHA256:" HEX64, "invalid checksum digest format" },
		{ "sha256-:" HEX64, "invalid checksum digest format" },
		{ "foo+bar:" HEX64, "unsupported digest algorithm" },
		{ "foo:a/b", "invalid checksum digest format" },
		{ "../../etc:passwd", "invalid checksum digest format" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		struct digest d = { 0 };

		assert_fails(digest_parse(cases[i].text, &d, &err), &err, E_INVALID, cases[i].message);
		assert_false(digest_is_set(&d));
	}
}

static void a_digest_with_a_nul_inside_is_refused(void **state UNUSED)
{
	char text[] = "sha256:" HEX64;
	struct err err = ERR_INIT;
	struct digest d;

	text[20] = 0;
	assert_int_equal(digest_parse_bytes((struct bytes){ (uint8_t *)text, sizeof text - 1 }, &d, &err), E_INVALID);
}

static void digests_of_different_algorithms_differ(void **state UNUSED)
{
	struct digest a, b;

	digest_of(DIGEST_SHA256, bytes_of("abc"), &a);
	digest_of(DIGEST_SHA512, bytes_of("abc"), &b);
	assert_false(digest_eq(&a, &b));
	digest_of(DIGEST_SHA256, bytes_of("abc"), &b);
	assert_true(digest_eq(&a, &b));
	assert_memory_equal(&a, &b, sizeof a);
}

static void hashes_are_those_of_the_standard(void **state UNUSED)
{
	char text[DIGEST_TEXT_MAX];
	struct digest d;

	digest_of(DIGEST_SHA256, bytes_of("abc"), &d);
	assert_string_equal(digest_text(&d, text), "sha256:" HEX64);
	digest_of(DIGEST_SHA512, bytes_of("abc"), &d);
	assert_string_equal(digest_text(&d, text), "sha512:" HEX128);
	digest_of(DIGEST_SHA256, (struct bytes){ NULL, 0 }, &d);
	assert_string_equal(digest_text(&d, text),
			    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* Through a saved state at `at`, the hash is that of the whole. */
static void check_resume(enum digest_algorithm a, struct bytes data, size_t at)
{
	uint8_t saved[HASHER_STATE_MAX];
	struct err err = ERR_INIT;
	struct digest whole, resumed;
	struct hasher h, second;
	size_t len;

	digest_of(a, data, &whole);
	hasher_init(&h, a);
	hasher_update(&h, data.data, at);
	assert_int_equal(hasher_save(&h, saved, &len), at % hasher_block(&h) == 0);
	if (at % hasher_block(&h))
		return;
	assert_ok(hasher_load(&second, (struct bytes){ saved, len }, &err), &err);
	assert_int_equal(second.length, at);
	hasher_update(&second, data.data + at, data.len - at);
	resumed = hasher_final(&second);
	assert_true(digest_eq(&whole, &resumed));
}

static void a_saved_hash_goes_on_where_it_was_saved(void **state UNUSED)
{
	uint8_t data[1000];

	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 7 + i / 64);
	for (size_t at = 0; at <= sizeof data; at++) {
		check_resume(DIGEST_SHA256, (struct bytes){ data, sizeof data }, at);
		check_resume(DIGEST_SHA512, (struct bytes){ data, sizeof data }, at);
	}
}

/* 512 MiB are where the count of bits no longer fits one word of SHA-256. */
static void a_saved_hash_of_a_large_blob_counts_all_its_bits(void **state UNUSED)
{
	enum { CHUNK = 8 << 20, CHUNKS = 65 };
	CLEANUP(freep) uint8_t *chunk = calloc(1, CHUNK);
	uint8_t saved[HASHER_STATE_MAX];
	struct err err = ERR_INIT;
	struct digest whole, resumed;
	struct hasher h, second;
	size_t len;

	assert_non_null(chunk);
	hasher_init(&h, DIGEST_SHA256);
	for (int i = 0; i < CHUNKS; i++)
		hasher_update(&h, chunk, CHUNK);
	assert_true(hasher_save(&h, saved, &len));
	assert_ok(hasher_load(&second, (struct bytes){ saved, len }, &err), &err);
	whole = hasher_final(&h);
	resumed = hasher_final(&second);
	assert_true(digest_eq(&whole, &resumed));
}

static void the_saved_form_does_not_depend_on_the_machine(void **state UNUSED)
{
	static const uint8_t expected[] = { 1,	  1,	0x6a, 0x09, 0xe6, 0x67, 0xbb, 0x67, 0xae, 0x85, 0x3c,
					    0x6e, 0xf3, 0x72, 0xa5, 0x4f, 0xf5, 0x3a, 0x51, 0x0e, 0x52, 0x7f,
					    0x9b, 0x05, 0x68, 0x8c, 0x1f, 0x83, 0xd9, 0xab, 0x5b, 0xe0, 0xcd,
					    0x19, 0,	0,    0,    0,	  0,	0,    0,    0 };
	uint8_t saved[HASHER_STATE_MAX];
	struct hasher h;
	size_t len;

	hasher_init(&h, DIGEST_SHA256);
	assert_true(hasher_save(&h, saved, &len));
	assert_int_equal(len, sizeof expected);
	assert_memory_equal(saved, expected, len);
}

static void a_damaged_saved_hash_is_refused(void **state UNUSED)
{
	uint8_t saved[HASHER_STATE_MAX], bad[HASHER_STATE_MAX];
	struct err err = ERR_INIT;
	struct hasher h, second;
	size_t len;

	hasher_init(&h, DIGEST_SHA256);
	assert_true(hasher_save(&h, saved, &len));
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(hasher_load(&second, (struct bytes){ saved, cut }, &err), E_CORRUPT);
	memcpy(bad, saved, len);
	bad[0] = 2;
	assert_fails(hasher_load(&second, (struct bytes){ bad, len }, &err), &err, E_CORRUPT,
		     "saved hash state: unknown version");
	memcpy(bad, saved, len);
	bad[1] = 9;
	assert_fails(hasher_load(&second, (struct bytes){ bad, len }, &err), &err, E_CORRUPT,
		     "saved hash state: unknown algorithm");
	memcpy(bad, saved, len);
	bad[len - 1] = 1;
	assert_fails(hasher_load(&second, (struct bytes){ bad, len }, &err), &err, E_CORRUPT,
		     "saved hash state: not at a block");
	memcpy(bad, saved, len);
	bad[1] = DIGEST_SHA512;
	assert_fails(hasher_load(&second, (struct bytes){ bad, len }, &err), &err, E_CORRUPT,
		     "saved hash state: wrong length");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_digest_reads_back_as_it_was_written),
		cmocka_unit_test(malformed_digests_are_refused_with_the_words_of_docker),
		cmocka_unit_test(a_digest_with_a_nul_inside_is_refused),
		cmocka_unit_test(digests_of_different_algorithms_differ),
		cmocka_unit_test(hashes_are_those_of_the_standard),
		cmocka_unit_test(a_saved_hash_goes_on_where_it_was_saved),
		cmocka_unit_test(a_saved_hash_of_a_large_blob_counts_all_its_bits),
		cmocka_unit_test(the_saved_form_does_not_depend_on_the_machine),
		cmocka_unit_test(a_damaged_saved_hash_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

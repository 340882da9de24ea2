/* xz and bzip2, and how a compressed archive is told. */
#include <lzma.h>

#include "service/layer/archive.h"
#include "service/layer/inflate.h"
#include "tests/unit/layer/pieces.h"

static void make(struct buf *z, int format, struct bytes data)
{
	if (format == INFLATE_XZ)
		craft_xz(z, data, LZMA_CHECK_CRC64);
	else
		craft_bzip2(z, data);
}

static const int formats[] = { INFLATE_XZ, INFLATE_BZIP2 };

static struct buf some_data(size_t len)
{
	struct buf b = BUF_INIT(CRAFT_MAX);

	craft_data(&b, len);
	return b;
}

/* ---- both ----------------------------------------------------------------------- */

static void one_stream_is_inflated(void **state UNUSED)
{
	static const size_t sizes[] = { 0, 1, 300000 };

	for (size_t f = 0; f < ARRAY_LEN(formats); f++)
		for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
			CLEANUP(buf_free) struct buf data = some_data(sizes[i]), z = BUF_INIT(CRAFT_MAX);

			make(&z, formats[f], buf_bytes(&data));
			assert_inflates(ARCHIVE, buf_bytes(&z), buf_bytes(&data));
		}
}

static void all_streams_are_read(void **state UNUSED)
{
	for (size_t f = 0; f < ARRAY_LEN(formats); f++) {
		CLEANUP(buf_free) struct buf data = some_data(100000), z = BUF_INIT(CRAFT_MAX);

		make(&z, formats[f], (struct bytes){ data.data, 1000 });
		make(&z, formats[f], (struct bytes){ data.data, 0 });
		make(&z, formats[f], (struct bytes){ data.data + 1000, data.len - 1000 });
		assert_inflates(ARCHIVE, buf_bytes(&z), buf_bytes(&data));
	}
}

static void a_stream_cut_anywhere_is_truncated(void **state UNUSED)
{
	for (size_t f = 0; f < ARRAY_LEN(formats); f++) {
		CLEANUP(buf_free) struct buf data = some_data(3000), z = BUF_INIT(CRAFT_MAX);
		size_t first;

		make(&z, formats[f], (struct bytes){ data.data, 1000 });
		first = z.len;
		make(&z, formats[f], buf_bytes(&data));
		for (size_t len = INFLATE_MAGIC; len < z.len; len++)
			if (len != first)
				assert_refused(ARCHIVE, (struct bytes){ z.data, len }, E_BAD_CONTENT,
					       "archive is truncated");
	}
}

/* A bit that is turned anywhere is noticed: everything is below some checksum. But for
 * bzip2's last byte, a part of which may be padding. */
static void damage_is_noticed_wherever_it_is(void **state UNUSED)
{
	for (size_t f = 0; f < ARRAY_LEN(formats); f++) {
		CLEANUP(buf_free) struct buf data = some_data(2000), z = BUF_INIT(CRAFT_MAX);

		make(&z, formats[f], buf_bytes(&data));
		for (size_t at = INFLATE_MAGIC; at < z.len; at++) {
			CLEANUP(buf_free) struct buf out = BUF_INIT(CRAFT_MAX);
			int rc;

			z.data[at] ^= (uint8_t)(1 << (at % 8));
			rc = inflate_in_pieces(ARCHIVE, buf_bytes(&z), CRAFT_MAX, 65536, &out, NULL);
			if (rc == OK && (formats[f] == INFLATE_XZ || at + 1 < z.len))
				failed("format %d: byte %zu of %zu", formats[f], at, z.len);
			z.data[at] ^= (uint8_t)(1 << (at % 8));
		}
	}
}

static void bytes_after_the_end_are_refused(void **state UNUSED)
{
	static const char *const after[] = { "x", "BZ", "garbage that is long enough", "\xfd\x37\x7a\x58\x5a\x01\x02" };

	for (size_t f = 0; f < ARRAY_LEN(formats); f++)
		for (size_t i = 0; i < ARRAY_LEN(after); i++) {
			CLEANUP(buf_free) struct buf data = some_data(100), z = BUF_INIT(CRAFT_MAX);

			make(&z, formats[f], buf_bytes(&data));
			buf_puts(&z, after[i]);
			assert_refused(ARCHIVE, buf_bytes(&z), E_BAD_CONTENT, "archive is ");
		}
}

/* ---- xz --------------------------------------------------------------------------- */

static void xz_may_be_padded_with_zeros_in_fours(void **state UNUSED)
{
	for (size_t zeros = 1; zeros <= 8; zeros++) {
		CLEANUP(buf_free) struct buf data = some_data(1000), z = BUF_INIT(CRAFT_MAX);

		craft_xz(&z, (struct bytes){ data.data, 10 }, LZMA_CHECK_CRC32);
		craft_zeros(&z, 4);
		craft_xz(&z, (struct bytes){ data.data + 10, data.len - 10 }, LZMA_CHECK_SHA256);
		craft_zeros(&z, zeros);
		if (zeros % 4)
			assert_refused(ARCHIVE, buf_bytes(&z), E_BAD_CONTENT, "archive is truncated");
		else
			assert_inflates(ARCHIVE, buf_bytes(&z), buf_bytes(&data));
	}
}

static void xz_without_a_check_is_taken(void **state UNUSED)
{
	CLEANUP(buf_free) struct buf data = some_data(1000), z = BUF_INIT(CRAFT_MAX);

	craft_xz(&z, buf_bytes(&data), LZMA_CHECK_NONE);
	assert_inflates(ARCHIVE, buf_bytes(&z), buf_bytes(&data));
}

static void xz_that_needs_much_memory_is_refused(void **state UNUSED)
{
	CLEANUP(buf_free) struct buf data = some_data(1000), z = BUF_INIT(CRAFT_MAX);

	craft_xz_greedy(&z, buf_bytes(&data));
	assert_refused(ARCHIVE, buf_bytes(&z), E_LIMIT, "archive needs more memory for xz than is allowed");
}

/* A kind of check that nobody knows cannot be verified. */
static void xz_with_an_unknown_check_is_refused(void **state UNUSED)
{
	CLEANUP(buf_free) struct buf data = some_data(1000), z = BUF_INIT(CRAFT_MAX);
	uint32_t crc;

	craft_xz(&z, buf_bytes(&data), LZMA_CHECK_CRC32);
	z.data[7] = 15;
	crc = lzma_crc32(z.data + 6, 2, 0);
	for (size_t i = 0; i < 4; i++)
		z.data[8 + i] = (uint8_t)(crc >> (8 * i));
	assert_refused(ARCHIVE, buf_bytes(&z), E_UNSUPPORTED, "archive is compressed with a form of xz");
}

/* ---- bzip2 ------------------------------------------------------------------------- */

static void zeros_after_bzip2_are_refused(void **state UNUSED)
{
	CLEANUP(buf_free) struct buf data = some_data(1000), z = BUF_INIT(CRAFT_MAX);

	craft_bzip2(&z, buf_bytes(&data));
	craft_zeros(&z, 4);
	assert_refused(ARCHIVE, buf_bytes(&z), E_BAD_CONTENT,
		       "archive is damaged: bytes after the end of the bzip2 stream");
}

/* ---- how they are told --------------------------------------------------------------- */

static void the_format_is_told_by_its_magic_number_alone(void **state UNUSED)
{
	static const struct {
		const char *start;
		size_t len;
		enum inflate_format format;
	} cases[] = {
		{ "\x1f\x8b\x08\x00\x00\x00", 6, INFLATE_GZIP },
		{ "\x1f\x8b\x08", 3, INFLATE_GZIP },
		{ "\x1f\x8b\x09\x00\x00\x00", 6, INFLATE_PLAIN },
		{ "\x28\xb5\x2f\xfd\x00\x00", 6, INFLATE_ZSTD },
		{ "\x5f\x2a\x4d\x18\x00\x00", 6, INFLATE_ZSTD },
		{ "\xfd\x37\x7a\x58\x5a\x00", 6, INFLATE_XZ },
		{ "\xfd\x37\x7a\x58\x5a", 5, INFLATE_PLAIN },
		{ "BZh91A", 6, INFLATE_BZIP2 },
		{ "BZh1\x17\x72", 6, INFLATE_BZIP2 }, /* of nothing */
		{ "BZh01A", 6, INFLATE_PLAIN },
		{ "BZh.tx", 6, INFLATE_PLAIN }, /* a tar whose first member is called so */
		{ "BZh1tx", 6, INFLATE_PLAIN },
		{ "BZh91", 5, INFLATE_PLAIN },
		{ "manife", 6, INFLATE_PLAIN },
		{ "\0\0\0\0\0\0", 6, INFLATE_PLAIN },
		{ "", 0, INFLATE_PLAIN },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t first[6] = { 0 };

		memcpy(first, cases[i].start, cases[i].len);
		assert_int_equal(magic_format((struct bytes){ first, cases[i].len }), cases[i].format);
	}
}

static void layers_are_still_not_xz_or_bzip2(void **state UNUSED)
{
	static const char *const starts[] = { "\xfd\x37\x7a\x58\x5a", "BZh", "BZh91A" };
	enum inflate_format format;

	for (size_t i = 0; i < ARRAY_LEN(starts); i++)
		assert_int_equal(inflate_sniff(bytes_of(starts[i]), &format, NULL), E_UNSUPPORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_stream_is_inflated),
		cmocka_unit_test(all_streams_are_read),
		cmocka_unit_test(a_stream_cut_anywhere_is_truncated),
		cmocka_unit_test(damage_is_noticed_wherever_it_is),
		cmocka_unit_test(bytes_after_the_end_are_refused),
		cmocka_unit_test(xz_may_be_padded_with_zeros_in_fours),
		cmocka_unit_test(xz_without_a_check_is_taken),
		cmocka_unit_test(xz_that_needs_much_memory_is_refused),
		cmocka_unit_test(xz_with_an_unknown_check_is_refused),
		cmocka_unit_test(zeros_after_bzip2_are_refused),
		cmocka_unit_test(the_format_is_told_by_its_magic_number_alone),
		cmocka_unit_test(layers_are_still_not_xz_or_bzip2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "service/layer/inflate.h"

#include "tests/unit/layer/pieces.h"

#define NEW CLEANUP(buf_free) struct buf

static struct bytes sample(struct buf *b, size_t size)
{
	craft_data(b, size);
	return buf_bytes(b);
}

static void gzip_inflates_with_every_header_flag(void **state UNUSED)
{
	NEW text = BUF_INIT(CRAFT_MAX);
	struct bytes data = sample(&text, 5000);

	for (unsigned flags = 0; flags < 32; flags++) {
		NEW z = BUF_INIT(CRAFT_MAX);

		craft_gzip(&z, data, flags);
		assert_inflates(LAYER, buf_bytes(&z), data);
	}
}

static void all_members_of_a_gzip_stream_are_read(void **state UNUSED)
{
	NEW text = BUF_INIT(CRAFT_MAX);
	NEW z = BUF_INIT(CRAFT_MAX);
	struct bytes data = sample(&text, 40000);

	craft_gzip(&z, (struct bytes){ data.data, 10000 }, 0);
	craft_gzip(&z, (struct bytes){ data.data, 0 }, CRAFT_GZIP_NAME);
	craft_gzip(&z, (struct bytes){ data.data + 10000, 1 }, CRAFT_GZIP_HCRC | CRAFT_GZIP_EXTRA);
	craft_gzip(&z, (struct bytes){ data.data + 10001, data.len - 10001 }, 0);
	assert_inflates(LAYER, buf_bytes(&z), data);
}

static void zeros_after_gzip_are_padding_and_other_bytes_are_refused(void **state UNUSED)
{
	NEW text = BUF_INIT(CRAFT_MAX);
	NEW z = BUF_INIT(CRAFT_MAX);
	NEW garbage = BUF_INIT(CRAFT_MAX);
	struct bytes data = sample(&text, 5000);

	craft_gzip(&z, data, 0);
	craft_gzip(&garbage, data, 0);
	craft_zeros(&z, 1000);
	assert_inflates(LAYER, buf_bytes(&z), data);
	buf_putc(&z, 'x');
	assert_refused(LAYER, buf_bytes(&z), E_BAD_CONTENT, "bytes after the end");
	buf_puts(&garbage, "garbage that is no header");
	assert_refused(LAYER, buf_bytes(&garbage), E_BAD_CONTENT, "invalid gzip header");
}

static void a_member_after_padding_is_refused(void **state UNUSED)
{
	NEW text = BUF_INIT(CRAFT_MAX);
	NEW z = BUF_INIT(CRAFT_MAX);
	struct bytes data = sample(&text, 5000);

	craft_gzip(&z, data, 0);
	craft_zeros(&z, 10);
	craft_gzip(&z, data, 0);
	assert_refused(LAYER, buf_bytes(&z), E_BAD_CONTENT, "bytes after the end");
}

static void gzip_checksum_and_length_are_verified(void **state UNUSED)
{
	NEW text = BUF_INIT(CRAFT_MAX);
	struct bytes data = sample(&text, 50000);

	for (size_t back = 1; back <= 8; back++) {
		NEW z = BUF_INIT(CRAFT_MAX);

		craft_gzip(&z, data, 0);
		z.data[z.len - back] ^= 0x10;
		assert_refused(LAYER, buf_bytes(&z), E_BAD_CONTENT, "checksum or length");
	}
}

static void a_wrong_header_checksum_is_refused(void **state UNUSED)
{
	NEW text = BUF_INIT(CRAFT_MAX);
	NEW z = BUF_INIT(CRAFT_MAX);

	craft_gzip(&z, sample(&text, 100), CRAFT_GZIP_HCRC);
	z.data[10] ^= 1;
	assert_refused(LAYER, buf_bytes(&z), E_BAD_CONTENT, "layer is damaged");
}

/* Cut at each byte: an error, never a short success. */
static void assert_every_cut_is_refused(struct bytes z)
{
	for (size_t len = INFLATE_MAGIC; len < z.len; len++) {
		CLEANUP(buf_free) struct buf out = BUF_INIT(CRAFT_MAX);
		struct err err = ERR_INIT;

		assert_fails(inflate_in_pieces(LAYER, (struct bytes){ z.data, len }, 64, 1024, &out, &err), &err,
			     E_BAD_CONTENT, "truncated");
	}
}

static void truncated_streams_are_refused_wherever_they_end(void **state UNUSED)
{
	NEW text = BUF_INIT(CRAFT_MAX);
	NEW gz = BUF_INIT(CRAFT_MAX);
	NEW zst = BUF_INIT(CRAFT_MAX);
	struct bytes data = sample(&text, 3000);

	craft_gzip(&gz, data, CRAFT_GZIP_NAME | CRAFT_GZIP_EXTRA | CRAFT_GZIP_HCRC);
	assert_every_cut_is_refused(buf_bytes(&gz));
	craft_zstd(&zst, data, true, 0);
	assert_every_cut_is_refused(buf_bytes(&zst));
}

static void zstd_frames_and_skippable_frames_are_read(void **state UNUSED)
{
	NEW text = BUF_INIT(CRAFT_MAX);
	NEW z = BUF_INIT(CRAFT_MAX);
	struct bytes data = sample(&text, 40000);

	craft_zstd_skippable(&z);
	craft_zstd(&z, (struct bytes){ data.data, 10000 }, true, 0);
	craft_zstd_skippable(&z);
	craft_zstd(&z, (struct bytes){ data.data, 0 }, false, 0);
	craft_zstd(&z, (struct bytes){ data.data + 10000, data.len - 10000 }, false, 0);
	craft_zstd_skippable(&z);
	assert_inflates(LAYER, buf_bytes(&z), data);
}

static void zstd_checksums_are_verified(void **state UNUSED)
{
	NEW text = BUF_INIT(CRAFT_MAX);
	NEW z = BUF_INIT(CRAFT_MAX);

	craft_zstd(&z, sample(&text, 5000), true, 0);
	z.data[z.len - 1] ^= 1;
	assert_refused(LAYER, buf_bytes(&z), E_BAD_CONTENT, "zstd");
}

/* A frame of zeros, and one as zstd 0.6 wrote it, which libzstd may still read. */
static void a_zstd_frame_of_before_the_rfc_is_refused(void **state UNUSED)
{
	static const uint8_t frames[] = { 0x28, 0xb5, 0x2f, 0xfd, 0,	0x2f, 0x33, 0x5d, 0,
					  0,	0x26, 0xb5, 0x2f, 0xfd, 0,    0xf9, 0,	  0 };

	assert_refused(LAYER, (struct bytes){ frames, sizeof frames }, E_BAD_CONTENT, "no frame begins");
}

/* 256 bytes by its header, and one empty block. */
static void a_zstd_frame_of_another_size_than_its_header_says_is_refused(void **state UNUSED)
{
	static const uint8_t frame[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x60, 0, 0, 1, 0, 0 };

	assert_refused(LAYER, (struct bytes){ frame, sizeof frame }, E_BAD_CONTENT, "is damaged: zstd");
}

static void bytes_after_zstd_are_refused(void **state UNUSED)
{
	NEW text = BUF_INIT(CRAFT_MAX);
	NEW z = BUF_INIT(CRAFT_MAX);

	craft_zstd(&z, sample(&text, 5000), true, 0);
	buf_puts(&z, "garbage");
	assert_refused(LAYER, buf_bytes(&z), E_BAD_CONTENT, "zstd");
}

static void a_zstd_window_over_the_limit_is_refused(void **state UNUSED)
{
	NEW text = BUF_INIT(CRAFT_MAX);
	NEW fits = BUF_INIT(CRAFT_MAX);
	NEW large = BUF_INIT(CRAFT_MAX);
	NEW out = BUF_INIT(CRAFT_MAX);
	struct err err = ERR_INIT;
	struct bytes data = sample(&text, 2 << 20);

	craft_zstd(&fits, data, true, 20);
	assert_ok(inflate_in_pieces(LAYER, buf_bytes(&fits), 4096, 65536, &out, &err), &err);
	craft_zstd(&large, data, true, 21);
	assert_refused(LAYER, buf_bytes(&large), E_LIMIT, "larger zstd window");
}

static void the_format_is_told_by_the_bytes(void **state UNUSED)
{
	static const struct {
		const char *start;
		size_t len;
		int rc;
		enum inflate_format format;
	} cases[] = {
		{ "\x1f\x8b\x08\0\0\0", 6, OK, INFLATE_GZIP },
		{ "\x28\xb5\x2f\xfd\0\0", 6, OK, INFLATE_ZSTD },
		{ "\x5f\x2a\x4d\x18\0\0", 6, OK, INFLATE_ZSTD },
		{ "BZh91A", 6, E_UNSUPPORTED, 0 },
		{ "\xfd"
		  "7zXZ\0",
		  6, E_UNSUPPORTED, 0 },
		{ "etc/pa", 6, OK, INFLATE_PLAIN },
		{ "\x1f\x8b", 2, OK, INFLATE_PLAIN },
		{ "", 0, OK, INFLATE_PLAIN },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		enum inflate_format format = INFLATE_PLAIN;
		struct err err = ERR_INIT;
		struct bytes start = { (const uint8_t *)cases[i].start, cases[i].len };

		assert_int_equal(inflate_sniff(start, &format, &err), cases[i].rc);
		if (cases[i].rc == OK)
			assert_int_equal(format, cases[i].format);
	}
}

static void damaged_deflate_data_is_refused(void **state UNUSED)
{
	NEW z = BUF_INIT(CRAFT_MAX);
	static const uint8_t head[] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xff, 0xff, 0xff, 0xff };

	assert_true(buf_append(&z, head, sizeof head));
	craft_zeros(&z, 100);
	assert_refused(LAYER, buf_bytes(&z), E_BAD_CONTENT, "invalid deflate data");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gzip_inflates_with_every_header_flag),
		cmocka_unit_test(all_members_of_a_gzip_stream_are_read),
		cmocka_unit_test(zeros_after_gzip_are_padding_and_other_bytes_are_refused),
		cmocka_unit_test(a_member_after_padding_is_refused),
		cmocka_unit_test(gzip_checksum_and_length_are_verified),
		cmocka_unit_test(a_wrong_header_checksum_is_refused),
		cmocka_unit_test(truncated_streams_are_refused_wherever_they_end),
		cmocka_unit_test(zstd_frames_and_skippable_frames_are_read),
		cmocka_unit_test(zstd_checksums_are_verified),
		cmocka_unit_test(a_zstd_frame_of_before_the_rfc_is_refused),
		cmocka_unit_test(a_zstd_frame_of_another_size_than_its_header_says_is_refused),
		cmocka_unit_test(bytes_after_zstd_are_refused),
		cmocka_unit_test(a_zstd_window_over_the_limit_is_refused),
		cmocka_unit_test(the_format_is_told_by_the_bytes),
		cmocka_unit_test(damaged_deflate_data_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

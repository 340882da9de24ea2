#include "service/layer/tar_count.h"

#include "service/layer/protocol.h"

#include "tests/unit/layer/craft.h"

enum { MAX_FILE = INT32_MAX };

struct counts {
	uint64_t entries, files_bytes;
};

/* Feeds the bytes in pieces of `piece` bytes. */
static int count_in_pieces(struct bytes tar, size_t piece, struct counts *ret_counts, struct err *err)
{
	struct tar_count t;
	int rc = OK;

	tar_count_init(&t, 1000, MAX_FILE);
	for (size_t at = 0; rc == OK && at < tar.len; at += piece)
		rc = tar_count_feed(&t, tar.data + at, tar.len - at < piece ? tar.len - at : piece, err);
	if (rc == OK)
		rc = tar_count_finish(&t, err);
	*ret_counts = (struct counts){ t.entries, t.files_bytes };
	tar_count_free(&t);
	return rc;
}

/* The outcome must not depend on where the pieces are cut. */
static int count(struct bytes tar, struct counts *ret_counts, struct err *err)
{
	static const size_t pieces[] = { 1, 511, 512, 513, 4096, SIZE_MAX / 2 };
	struct counts first = { 0 };
	struct err first_err = ERR_INIT;
	int first_rc = count_in_pieces(tar, tar.len + 1, &first, &first_err);

	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		struct counts c;
		struct err e = ERR_INIT;

		assert_int_equal(count_in_pieces(tar, pieces[i] < tar.len ? pieces[i] : tar.len + 1, &c, &e), first_rc);
		assert_memory_equal(&c, &first, sizeof c);
		assert_string_equal(e.text, first_err.text);
	}
	*ret_counts = first;
	*err = first_err;
	return first_rc;
}

static void assert_counts(struct buf *tar, uint64_t entries, uint64_t files_bytes)
{
	struct err err = ERR_INIT;
	struct counts c;

	assert_ok(count(buf_bytes(tar), &c, &err), &err);
	assert_int_equal(c.entries, entries);
	assert_int_equal(c.files_bytes, files_bytes);
	buf_free(tar);
}

static void assert_refused(struct buf *tar, int code, const char *text)
{
	struct err err = ERR_INIT;
	struct counts c;

	assert_fails(count(buf_bytes(tar), &c, &err), &err, code, text);
	buf_free(tar);
}

static struct buf new_tar(void)
{
	return (struct buf)BUF_INIT(CRAFT_MAX);
}

static void regular_files_are_summed_and_everything_else_counts_as_an_entry(void **state UNUSED)
{
	static const char types[] = "123456";
	struct buf b = new_tar();

	craft_file(&b, "a", 0);
	craft_file(&b, "b", 1);
	craft_file(&b, "c", 512);
	craft_file(&b, "d", 100000);
	craft_header(&b, &(struct craft_entry){ .name = "contiguous", .type = '7', .size = 10 });
	craft_data(&b, 10);
	craft_header(&b, &(struct craft_entry){ .name = "old", .type = 0, .size = 7, .format = "v7" });
	craft_data(&b, 7);
	for (size_t i = 0; types[i]; i++)
		craft_header(&b, &(struct craft_entry){ .name = "x", .type = types[i] });
	craft_end(&b);
	assert_counts(&b, 12, 100530);
}

static void links_and_directories_carry_no_data_whatever_their_size_says(void **state UNUSED)
{
	struct buf b = new_tar();

	craft_header(&b, &(struct craft_entry){ .name = "link", .type = '1', .size = 4711 });
	craft_header(&b, &(struct craft_entry){ .name = "dir/", .type = '5', .size = 4711 });
	craft_file(&b, "f", 3);
	craft_end(&b);
	assert_counts(&b, 3, 3);
}

static void an_old_directory_is_told_by_the_slash_at_the_end_of_its_name(void **state UNUSED)
{
	struct buf b = new_tar();

	craft_header(&b, &(struct craft_entry){ .name = "dir/", .type = 0, .size = 600, .format = "v7" });
	craft_header(&b, &(struct craft_entry){ .name = "././@LongLink", .type = 'L', .size = 10 });
	craft_text(&b, "long/dir/");
	craft_header(&b, &(struct craft_entry){ .name = "long", .type = 0, .size = 600 });
	craft_header(&b, &(struct craft_entry){ .name = "pax", .type = 'x', .size = 13 });
	craft_text(&b, "13 path=p/d/\n");
	craft_header(&b, &(struct craft_entry){ .name = "pax", .type = 0, .size = 600 });
	craft_end(&b);
	assert_counts(&b, 3, 0);
}

static void sizes_may_be_base_256_or_come_from_a_pax_record(void **state UNUSED)
{
	struct buf b = new_tar();

	craft_header(&b, &(struct craft_entry){ .name = "big", .type = '0', .size = 1000, .base256 = true });
	craft_data(&b, 1000);
	craft_header(&b, &(struct craft_entry){ .name = "h", .type = 'x', .size = 13, .format = "ustar" });
	craft_text(&b, "13 size=2000\n");
	craft_header(&b, &(struct craft_entry){ .name = "pax", .type = '0', .size = 5, .format = "ustar" });
	craft_data(&b, 2000);
	craft_file(&b, "after", 7); /* the record is for one entry */
	craft_end(&b);
	assert_counts(&b, 3, 3007);
}

static void global_records_change_no_entry(void **state UNUSED)
{
	struct buf b = new_tar();

	craft_header(&b, &(struct craft_entry){ .name = "g", .type = 'g', .size = 13 });
	craft_text(&b, "13 size=2000\n");
	craft_file(&b, "f", 7);
	craft_end(&b);
	assert_counts(&b, 1, 7);
}

static void sparse_files_count_with_their_holes(void **state UNUSED)
{
	struct buf b = new_tar();

	/* GNU's old form, with two more blocks of the map */
	craft_header(&b,
		     &(struct craft_entry){
			     .name = "old", .type = 'S', .size = 512, .sparse_size = 1000000, .sparse_goes_on = true });
	craft_zeros(&b, 504);
	buf_putc(&b, 1);
	craft_zeros(&b, 7);
	craft_zeros(&b, 512);
	craft_data(&b, 512);
	/* 1.0 and 0.1 */
	craft_header(&b, &(struct craft_entry){ .name = "h", .type = 'x', .size = 77 });
	craft_text(&b, "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n33 GNU.sparse.realsize=123456789\n");
	craft_header(&b, &(struct craft_entry){ .name = "new", .type = '0', .size = 512 });
	craft_data(&b, 512);
	craft_header(&b, &(struct craft_entry){ .name = "h", .type = 'x', .size = 47 });
	craft_text(&b, "22 GNU.sparse.map=0,1\n25 GNU.sparse.size=50000\n");
	craft_header(&b, &(struct craft_entry){ .name = "mid", .type = '0', .size = 1 });
	craft_data(&b, 1);
	craft_header(&b, &(struct craft_entry){ .name = "h", .type = 'x', .size = 71 });
	craft_text(&b, "23 GNU.sparse.size=700\n23 GNU.sparse.offset=0\n25 GNU.sparse.numbytes=1\n");
	craft_header(&b, &(struct craft_entry){ .name = "oldest", .type = '0', .size = 1 });
	craft_data(&b, 1);
	craft_file(&b, "after", 3);
	craft_end(&b);
	assert_counts(&b, 5, 700 + 1000000 + 123456789 + 50000 + 3);
}

static void checksums_of_signed_bytes_are_taken_too(void **state UNUSED)
{
	struct buf b = new_tar();

	craft_header(&b, &(struct craft_entry){ .name = "\xc3\xa4", .type = '0', .size = 2, .signed_sum = true });
	craft_data(&b, 2);
	craft_end(&b);
	assert_counts(&b, 1, 2);
}

static void an_archive_may_end_without_zero_blocks_or_padding(void **state UNUSED)
{
	struct buf b = new_tar();

	assert_counts(&b, 0, 0);
	b = new_tar();
	craft_file(&b, "f", 100);
	assert_counts(&b, 1, 100);
	b = new_tar();
	craft_file(&b, "f", 100);
	b.len -= 412;
	assert_counts(&b, 1, 100);
	b = new_tar();
	craft_file(&b, "f", 100);
	craft_zeros(&b, 512);
	assert_counts(&b, 1, 100);
}

static void what_follows_the_end_is_not_looked_at(void **state UNUSED)
{
	struct buf b = new_tar();

	craft_file(&b, "f", 100);
	craft_end(&b);
	craft_text(&b, "anything at all");
	craft_file(&b, "g", 100);
	b.len -= 77;
	assert_counts(&b, 1, 100);
}

static void a_tar_that_ends_in_an_entry_is_refused(void **state UNUSED)
{
	struct buf b = new_tar();

	craft_file(&b, "f", 600);
	b.len -= 512; /* 512 of 600 bytes */
	assert_refused(&b, E_BAD_CONTENT, "ends in the middle of an entry, at byte 1024");
	b = new_tar();
	craft_file(&b, "f", 0);
	b.len -= 1;
	assert_refused(&b, E_BAD_CONTENT, "ends in the middle");
	b = new_tar();
	craft_header(&b, &(struct craft_entry){ .name = "h", .type = 'x', .size = 13 });
	assert_refused(&b, E_BAD_CONTENT, "ends in the middle");
}

static void broken_headers_are_refused_with_their_place(void **state UNUSED)
{
	static const struct {
		struct craft_entry entry;
		const char *text;
	} cases[] = {
		{ { .name = "n", .type = '0', .raw_sum = "0000000" }, "wrong checksum at byte 512" },
		{ { .name = "n", .type = '0', .raw_sum = "garbage" }, "wrong checksum" },
		{ { .name = "n", .type = '0', .raw_size = "00000000x00" }, "bad size at byte 512" },
		{ { .name = "n", .type = '0', .raw_size = "-0000000001" }, "bad size" },
		{ { .name = "n", .type = '0', .raw_size = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" },
		  "bad size" },
		{ { .name = "n", .type = '0', .raw_size = "\x80\0\0\1\0\0\0\0\0\0\0\0" }, "bad size" },
		{ { .name = "n", .type = '0', .raw_size = "\x80\0\0\0\x80\0\0\0\0\0\0\0" }, "bad size" },
		{ { .name = "n", .type = 'S', .size = 0, .format = "ustar" }, "sparse header that is not GNU's" },
		{ { .name = "n", .type = 'x', .size = 2 << 20 }, "extended header that is too long" },
		{ { .name = "n", .type = 'L', .size = 1LL << 33, .base256 = true },
		  "extended header that is too long" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf b = new_tar();

		craft_file(&b, "f", 0);
		craft_header(&b, &cases[i].entry);
		craft_end(&b);
		assert_refused(&b, E_BAD_CONTENT, cases[i].text);
	}
}

static void broken_pax_records_are_refused(void **state UNUSED)
{
	static const char *const records[] = {
		"x",
		"13",
		"13 ",
		"0 a=b\n",
		"5 a=b\n",
		"7 a=b\n",
		"6 a=bX",
		"6 =bb\n",
		"6 abb\n",
		"99999999999999999999 a=b\n",
		"-6 a=b\n",
		"2 a=b\n",
		"11 size=1x\n",
		"28 size=9223372036854775808\n",
		"11 size=-1\n",
		"22 GNU.sparse.map=0,1\n22 GNU.sparse.size=-1\n",
		"6 a=b\n\n",
	};

	for (size_t i = 0; i < ARRAY_LEN(records); i++) {
		struct tar_pax pax;

		if (!tar_pax_read(bytes_of(records[i]), &pax))
			failed("accepted: %s", records[i]);
	}
}

static void the_last_of_equal_pax_records_counts_and_an_empty_one_takes_back(void **state UNUSED)
{
	struct tar_pax pax;

	assert_null(tar_pax_read(bytes_of("10 size=1\n10 size=2\n"), &pax));
	assert_int_equal(pax.size, 2);
	assert_null(tar_pax_read(bytes_of("10 size=1\n8 size=\n"), &pax));
	assert_int_equal(pax.size, -1);
}

static void a_header_after_one_zero_block_is_refused(void **state UNUSED)
{
	struct buf b = new_tar();

	craft_zeros(&b, 512);
	craft_file(&b, "f", 0);
	assert_refused(&b, E_BAD_CONTENT, "single zero block at byte 512");
}

static void entries_and_file_sizes_have_limits(void **state UNUSED)
{
	struct buf b = new_tar();

	craft_tree(&b, 1000, 0);
	assert_counts(&b, 1000, 0);
	b = new_tar();
	craft_tree(&b, 1001, 0);
	assert_refused(&b, E_LIMIT, "more than 1000 entries");
	b = new_tar();
	craft_header(&b, &(struct craft_entry){ .name = "n", .type = '0', .size = INT64_MAX, .base256 = true });
	assert_refused(&b, E_LIMIT, "a file of 9223372036854775807 bytes");
	b = new_tar();
	craft_header(&b, &(struct craft_entry){ .name = "n", .type = 'S', .sparse_size = INT64_MAX, .base256 = true });
	assert_refused(&b, E_LIMIT, "a file of 9223372036854775807 bytes");
}

/* Sizes are added up over layers and images: no file may be too large for the limit of
 * one, and yet all together too large to be counted. */
static void files_together_have_a_limit(void **state UNUSED)
{
	struct tar_count t;
	struct buf b = new_tar();
	struct err err = ERR_INIT;

	for (int i = 0; i < 2; i++)
		craft_header(&b, &(struct craft_entry){
					 .name = "n", .type = 'S', .sparse_size = INT64_C(1) << 52, .base256 = true });
	tar_count_init(&t, 1000, INT64_MAX);
	assert_int_equal(tar_count_feed(&t, b.data, b.len, &err), OK);
	assert_int_equal(t.files_bytes, layer_files_max);
	b.len = 0;
	craft_header(&b, &(struct craft_entry){ .name = "n", .type = 'S', .sparse_size = 1, .base256 = true });
	assert_int_equal(tar_count_feed(&t, b.data, b.len, &err), E_LIMIT);
	assert_string_equal(err.text, "layer has files of more than 9007199254740992 bytes together");
	tar_count_free(&t);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(regular_files_are_summed_and_everything_else_counts_as_an_entry),
		cmocka_unit_test(links_and_directories_carry_no_data_whatever_their_size_says),
		cmocka_unit_test(an_old_directory_is_told_by_the_slash_at_the_end_of_its_name),
		cmocka_unit_test(sizes_may_be_base_256_or_come_from_a_pax_record),
		cmocka_unit_test(global_records_change_no_entry),
		cmocka_unit_test(sparse_files_count_with_their_holes),
		cmocka_unit_test(checksums_of_signed_bytes_are_taken_too),
		cmocka_unit_test(an_archive_may_end_without_zero_blocks_or_padding),
		cmocka_unit_test(what_follows_the_end_is_not_looked_at),
		cmocka_unit_test(a_tar_that_ends_in_an_entry_is_refused),
		cmocka_unit_test(broken_headers_are_refused_with_their_place),
		cmocka_unit_test(broken_pax_records_are_refused),
		cmocka_unit_test(the_last_of_equal_pax_records_counts_and_an_empty_one_takes_back),
		cmocka_unit_test(a_header_after_one_zero_block_is_refused),
		cmocka_unit_test(entries_and_file_sizes_have_limits),
		cmocka_unit_test(files_together_have_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

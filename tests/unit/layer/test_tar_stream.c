/* What a tar says of its entries, however it is cut into pieces. */
#include "service/layer/tar_stream.h"

#include <inttypes.h>

#include "tests/unit/layer/craft.h"

enum { MAX_FILE = INT32_MAX };

/* ---- one line for each entry ------------------------------------------------------- */

static int begin(void *arg, const struct tar_item *item, struct err *err UNUSED)
{
	const struct tar_attributes *a = &item->attributes;

	buf_printf(arg, "%d %.*s>%.*s %" PRIu64 " %o %u:%u %" PRId64 ".%u %u,%u [", item->kind, (int)item->name.len,
		   (const char *)item->name.data, (int)item->link.len, (const char *)item->link.data, item->size,
		   a->mode, a->uid, a->gid, a->mtime, a->mtime_ns, a->major, a->minor);
	for (size_t i = 0; item->is_sparse && i < item->n_pieces; i++)
		buf_printf(arg, " %" PRIu64 "+%" PRIu64, item->pieces[i].offset, item->pieces[i].len);
	buf_puts(arg, "] ");
	return OK;
}

static int data(void *arg, const uint8_t *bytes, size_t len, struct err *err UNUSED)
{
	buf_append(arg, bytes, len);
	return OK;
}

static int end(void *arg, struct err *err UNUSED)
{
	buf_puts(arg, "\n");
	return OK;
}

static int read_in_pieces(struct bytes tar, size_t piece, struct buf *text, struct err *err)
{
	CLEANUP(tar_stream_freep) struct tar_stream *t = NULL;
	const struct tar_sink sink = { text, begin, data, end };
	int rc = tar_stream_new(&sink, 1000, MAX_FILE, &t, err);

	for (size_t at = 0; rc == OK && at < tar.len; at += piece)
		rc = tar_stream_feed(t, tar.data + at, tar.len - at < piece ? tar.len - at : piece, err);
	return rc == OK ? tar_stream_finish(t, err) : rc;
}

static int read_tar(struct buf *tar, struct buf *text, struct err *err)
{
	static const size_t pieces[] = { 1, 511, 512, 513, 4096 };
	int rc = read_in_pieces(buf_bytes(tar), tar->len + 1, text, err);

	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		CLEANUP(buf_free) struct buf again = BUF_INIT(CRAFT_MAX);
		struct err e = ERR_INIT;

		assert_int_equal(read_in_pieces(buf_bytes(tar), pieces[i], &again, &e), rc);
		assert_string_equal(e.text, err->text);
		assert_string_equal(buf_text(&again), buf_text(text));
	}
	buf_free(tar);
	return rc;
}

static void assert_reads(struct buf *tar, const char *wanted)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(CRAFT_MAX);
	struct err err = ERR_INIT;

	craft_end(tar);
	assert_ok(read_tar(tar, &text, &err), &err);
	assert_string_equal(buf_text(&text), wanted);
}

static void assert_refused(struct buf *tar, int code, const char *part)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(CRAFT_MAX);
	struct err err = ERR_INIT;

	craft_end(tar);
	assert_fails(read_tar(tar, &text, &err), &err, code, part);
}

static struct buf new_tar(void)
{
	return (struct buf)BUF_INIT(CRAFT_MAX);
}

/* ---- what craft.h has not -------------------------------------------------------------- */

static void put_checksum(uint8_t *block)
{
	unsigned sum = 0;

	memset(block + 148, ' ', 8);
	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += block[i];
	snprintf((char *)block + 148, 8, "%06o", sum);
}

/* Bytes over a field of the header that was put last, which has no data. */
static void patch(struct buf *tar, size_t at, const void *bytes, size_t len)
{
	uint8_t *block = tar->data + tar->len - TAR_BLOCK;

	memcpy(block + at, bytes, len);
	put_checksum(block);
}

static void put_pax(struct buf *tar, const char *key, const char *value)
{
	size_t len = strlen(key) + strlen(value) + 3, digits = 1;
	char record[2048];

	for (size_t power = 10; len + digits >= power; power *= 10)
		digits++;
	snprintf(record, sizeof record, "%zu %s=%s\n", len + digits, key, value);
	craft_header(tar, &(struct craft_entry){ .name = "pax", .type = 'x', .size = (int64_t)strlen(record) });
	craft_text(tar, record);
}

static void put_empty(struct buf *tar, const char *name)
{
	craft_header(tar, &(struct craft_entry){ .name = name, .type = '0' });
}

/* ---- attributes -------------------------------------------------------------------------- */

static void attributes_come_from_the_header(void **state UNUSED)
{
	struct buf t = new_tar();

	put_empty(&t, "f");
	patch(&t, 100, "0104755\0", 8);
	patch(&t, 108, "0000017\0", 8);
	patch(&t, 116, "     20 ", 8);
	patch(&t, 136, "14361234567\0", 12);
	craft_header(&t, &(struct craft_entry){ .name = "c", .type = '3' });
	patch(&t, 329, "0000010\0", 8);
	patch(&t, 337, "3777777\0", 8);
	put_empty(&t, "no-device");
	patch(&t, 329, "garbage!", 8);
	assert_reads(&t, "0 f> 0 4755 15:16 1673869687.0 0,0 [] \n"
			 "4 c> 0 644 0:0 0.0 8,1048575 [] \n"
			 "0 no-device> 0 644 0:0 0.0 0,0 [] \n");
}

static void base_256_has_large_ids_and_times_before_1970(void **state UNUSED)
{
	struct buf t = new_tar();

	put_empty(&t, "f");
	patch(&t, 108, "\x80\0\0\0\xff\xff\xff\xfe", 8);
	patch(&t, 136, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", 12);
	assert_reads(&t, "0 f> 0 644 4294967294:0 -2.0 0,0 [] \n");
	t = new_tar();
	put_empty(&t, "f");
	patch(&t, 108, "\x80\0\0\0\xff\xff\xff\xff", 8);
	assert_refused(&t, E_BAD_CONTENT, "bad owner");
	t = new_tar();
	put_empty(&t, "f");
	patch(&t, 116, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
	assert_refused(&t, E_BAD_CONTENT, "bad group");
	t = new_tar();
	craft_header(&t, &(struct craft_entry){ .name = "c", .type = '3' });
	patch(&t, 329, "0010000\0", 8);
	assert_refused(&t, E_BAD_CONTENT, "bad device");
	t = new_tar();
	put_empty(&t, "f");
	patch(&t, 136, "whenever", 8);
	assert_refused(&t, E_BAD_CONTENT, "bad time");
}

static void pax_times_have_nanoseconds_on_both_sides_of_1970(void **state UNUSED)
{
	static const struct {
		const char *text, *wanted;
	} cases[] = {
		{ "1.5", "1.500000000" },	   { "0", "0.0" },	     { "12.", "12.0" },
		{ "-1.5", "-2.500000000" },	   { "-1", "-1.0" },	     { "-0.000000001", "-1.999999999" },
		{ "7.1234567899", "7.123456789" }, { "3.000000001", "3.1" },
	};
	static const char *bad[] = { "x", "1.x", ".", "-", "--1", "1e3", "99999999999999999999" };

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf t = new_tar();
		char wanted[128];

		put_pax(&t, "mtime", cases[i].text);
		put_empty(&t, "f");
		snprintf(wanted, sizeof wanted, "0 f> 0 644 0:0 %s 0,0 [] \n", cases[i].wanted);
		assert_reads(&t, wanted);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct buf t = new_tar();

		put_pax(&t, "mtime", bad[i]);
		put_empty(&t, "f");
		assert_refused(&t, E_BAD_CONTENT, "bad time");
	}
}

static void pax_ids_count_where_the_header_has_nonsense(void **state UNUSED)
{
	struct buf t = new_tar();

	put_pax(&t, "uid", "4000000000");
	put_empty(&t, "f");
	patch(&t, 108, "nonsense", 8);
	assert_reads(&t, "0 f> 0 644 4000000000:0 0.0 0,0 [] \n");
	t = new_tar();
	put_pax(&t, "gid", "4294967295");
	put_empty(&t, "f");
	assert_refused(&t, E_BAD_CONTENT, "bad group");
}

/* ---- names -------------------------------------------------------------------------------- */

static void names_come_from_pax_else_gnu_else_the_header(void **state UNUSED)
{
	struct buf t = new_tar();

	craft_header(&t, &(struct craft_entry){ .name = "name", .prefix = "pre/fix", .type = '0', .format = "ustar" });
	craft_header(&t, &(struct craft_entry){ .name = "././@LongLink", .type = 'L', .size = 5 });
	craft_text(&t, "long\0");
	craft_header(&t, &(struct craft_entry){ .name = "././@LongLink", .type = 'K', .size = 6 });
	craft_text(&t, "target");
	craft_header(&t, &(struct craft_entry){ .name = "short", .type = '2', .link = "x" });
	craft_header(&t, &(struct craft_entry){ .name = "././@LongLink", .type = 'L', .size = 4 });
	craft_text(&t, "long");
	put_pax(&t, "path", "pax");
	craft_header(&t, &(struct craft_entry){ .name = "short", .type = '1', .link = "x" });
	put_empty(&t, "plain");
	assert_reads(&t, "0 pre/fix/name> 0 644 0:0 0.0 0,0 [] \n"
			 "2 long>target 0 644 0:0 0.0 0,0 [] \n"
			 "3 pax>x 0 644 0:0 0.0 0,0 [] \n"
			 "0 plain> 0 644 0:0 0.0 0,0 [] \n");
}

static void names_that_cannot_be_are_refused(void **state UNUSED)
{
	struct buf t = new_tar();

	put_empty(&t, "");
	assert_refused(&t, E_BAD_CONTENT, "without a name");
	t = new_tar();
	craft_header(&t, &(struct craft_entry){ .name = "l", .type = '2' });
	assert_refused(&t, E_BAD_CONTENT, "without a target");
	t = new_tar();
	craft_header(&t, &(struct craft_entry){ .name = "pax", .type = 'x', .size = 12 });
	assert_true(buf_append(&t, "12 path=a\0b\n", 12));
	craft_zeros(&t, -t.len % TAR_BLOCK);
	put_empty(&t, "f");
	assert_refused(&t, E_BAD_CONTENT, "NUL");
	t = new_tar();
	for (int i = 0; i < TAR_HEADER_RUN + 1; i++)
		put_pax(&t, "comment", "again");
	put_empty(&t, "f");
	assert_refused(&t, E_BAD_CONTENT, "too many extended headers");
	t = new_tar();
	craft_header(&t, &(struct craft_entry){ .name = "v", .type = 'V' });
	assert_refused(&t, E_UNSUPPORTED, "type 86");
}

/* ---- sparse files ---------------------------------------------------------------------------- */

static void each_form_of_sparse_files_has_its_map(void **state UNUSED)
{
	struct buf t = new_tar();

	craft_header(&t, &(struct craft_entry){
				 .name = "gnu", .type = 'S', .size = 3, .sparse_size = 100, .sparse_goes_on = true });
	patch(&t, 386, "00000000012\000000000000002\0", 24);
	craft_zeros(&t, TAR_BLOCK);
	memcpy(t.data + t.len - TAR_BLOCK, "00000000120\000000000000001\0", 24);
	craft_text(&t, "abc");
	put_pax(&t, "GNU.sparse.map", "5,1,50,2");
	put_pax(&t, "comment", "the last header counts");
	put_pax(&t, "GNU.sparse.size", "60"); /* without a map: none of its form */
	craft_header(&t, &(struct craft_entry){ .name = "0.1?", .type = '0', .size = 3 });
	craft_text(&t, "def");
	assert_reads(&t, "0 gnu> 100 644 0:0 0.0 0,0 [ 10+2 80+1] abc\n"
			 "0 0.1?> 3 644 0:0 0.0 0,0 [] def\n");
}

static void put_records(struct buf *t, const char *records)
{
	craft_header(t, &(struct craft_entry){ .name = "pax", .type = 'x', .size = (int64_t)strlen(records) });
	craft_text(t, records);
}

static void pax_sparse_files_of_all_versions(void **state UNUSED)
{
	struct buf t = new_tar();

	put_records(&t, "22 GNU.sparse.size=60\n26 GNU.sparse.numblocks=2\n23 GNU.sparse.offset=5\n"
			"25 GNU.sparse.numbytes=1\n24 GNU.sparse.offset=50\n25 GNU.sparse.numbytes=2\n");
	craft_header(&t, &(struct craft_entry){ .name = "0.0", .type = '0', .size = 3 });
	craft_text(&t, "abc");
	put_records(&t, "22 GNU.sparse.size=60\n27 GNU.sparse.map=5,1,50,2\n24 GNU.sparse.name=real\n");
	craft_header(&t, &(struct craft_entry){ .name = "0.1", .type = '0', .size = 3 });
	craft_text(&t, "def");
	put_records(&t, "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n26 GNU.sparse.realsize=60\n");
	craft_header(&t, &(struct craft_entry){ .name = "1.0", .type = '0', .size = 515 });
	craft_text(&t, "2\n5\n1\n50\n2\n");
	craft_text(&t, "ghi");
	put_records(&t, "22 GNU.sparse.major=2\n22 GNU.sparse.minor=0\n26 GNU.sparse.realsize=60\n");
	craft_header(&t, &(struct craft_entry){ .name = "unknown", .type = '0', .size = 3 });
	craft_text(&t, "jkl");
	assert_reads(&t, "0 0.0> 60 644 0:0 0.0 0,0 [ 5+1 50+2] abc\n"
			 "0 real> 60 644 0:0 0.0 0,0 [ 5+1 50+2] def\n"
			 "0 1.0> 60 644 0:0 0.0 0,0 [ 5+1 50+2] ghi\n"
			 "0 unknown> 3 644 0:0 0.0 0,0 [] jkl\n");
}

static void maps_that_do_not_fit_are_refused(void **state UNUSED)
{
	static const char *maps[] = {
		"9,1,3,2", "5,1,59,2", "5,2,6,1", "5,1", "5,1,50,3", "x", "5", "5,1,50,2,", "5,,1"
	};
	static const char *texts[] = { "x\n", "1\n5\n", "99999999\n", "2\n5\n1\n50\n3\n", "2\n5\n1\n50\nx\n", "-1\n" };

	for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
		struct buf t = new_tar();
		CLEANUP(buf_free) struct buf records = BUF_INIT(1000);

		buf_printf(&records, "22 GNU.sparse.size=60\n%zu GNU.sparse.map=%s\n", 19 + strlen(maps[i]), maps[i]);
		put_records(&t, buf_text(&records));
		craft_header(&t, &(struct craft_entry){ .name = "f", .type = '0', .size = 3 });
		craft_text(&t, "abc");
		assert_refused(&t, E_BAD_CONTENT, "sparse");
	}
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct buf t = new_tar();

		put_records(&t, "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n26 GNU.sparse.realsize=60\n");
		craft_header(&t, &(struct craft_entry){ .name = "f", .type = '0', .size = 515 });
		craft_text(&t, texts[i]);
		craft_text(&t, "abc");
		assert_refused(&t, E_BAD_CONTENT, "sparse");
	}
}

/* ---- the end ------------------------------------------------------------------------------------ */

static void a_stream_that_ends_within_an_entry_is_refused(void **state UNUSED)
{
	static const struct {
		size_t len;
		bool sound;
	} cuts[] = { { 0, true },   { 100, false }, { 512, false },  { 611, false }, { 612, true },
		     { 700, true }, { 1024, true }, { 1100, false }, { 1536, true }, { 2048, true } };

	for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
		CLEANUP(buf_free) struct buf t = new_tar();
		CLEANUP(buf_free) struct buf text = BUF_INIT(CRAFT_MAX);
		struct err err = ERR_INIT;

		craft_file(&t, "f", 100);
		craft_end(&t);
		t.len = cuts[i].len;
		if (cuts[i].sound)
			assert_ok(read_tar(&t, &text, &err), &err);
		else
			assert_fails(read_tar(&t, &text, &err), &err, E_BAD_CONTENT, "middle of an entry");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attributes_come_from_the_header),
		cmocka_unit_test(base_256_has_large_ids_and_times_before_1970),
		cmocka_unit_test(pax_times_have_nanoseconds_on_both_sides_of_1970),
		cmocka_unit_test(pax_ids_count_where_the_header_has_nonsense),
		cmocka_unit_test(names_come_from_pax_else_gnu_else_the_header),
		cmocka_unit_test(names_that_cannot_be_are_refused),
		cmocka_unit_test(each_form_of_sparse_files_has_its_map),
		cmocka_unit_test(pax_sparse_files_of_all_versions),
		cmocka_unit_test(maps_that_do_not_fit_are_refused),
		cmocka_unit_test(a_stream_that_ends_within_an_entry_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

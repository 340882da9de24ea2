/* Headers of archives that are written: our reader finds in them what was to be said. */
#include <inttypes.h>

#include "service/layer/tar_stream.h"
#include "store/archive/tar_head.h"
#include "tests/unit/layer/craft.h"

struct reading {
	const struct tar_head *wanted;
	size_t entries;
};

static void assert_bytes(struct bytes got, struct bytes wanted)
{
	assert_int_equal(got.len, wanted.len);
	if (wanted.len)
		assert_memory_equal(got.data, wanted.data, wanted.len);
}

static int begin(void *arg, const struct tar_item *item, struct err *err UNUSED)
{
	struct reading *r = arg;
	const struct tar_head *h = r->wanted;
	const struct tar_attributes *a = &item->attributes;

	assert_bytes(item->name, h->name);
	assert_bytes(item->link, h->link);
	assert_int_equal(item->size, h->type == TAR_TYPE_FILE ? h->size : 0);
	assert_int_equal(a->mode, h->mode);
	assert_int_equal(a->uid, h->uid);
	assert_int_equal(a->gid, h->gid);
	assert_int_equal(a->mtime, h->mtime);
	assert_int_equal(a->mtime_ns, h->mtime_ns);
	assert_int_equal(a->major, h->major);
	assert_int_equal(a->minor, h->minor);
	r->entries++;
	return OK;
}

static int data(void *arg UNUSED, const uint8_t *bytes UNUSED, size_t len UNUSED, struct err *err UNUSED)
{
	return OK;
}

static int end(void *arg UNUSED, struct err *err UNUSED)
{
	return OK;
}

static size_t blocks_of(const struct tar_head *h)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(CRAFT_MAX);

	assert_true(tar_head_write(h, NULL, &out));
	assert_int_equal(out.len % TAR_BLOCK_BYTES, 0);
	return out.len / TAR_BLOCK_BYTES;
}

static void assert_says(const struct tar_head *h)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(CRAFT_MAX);
	CLEANUP(tar_stream_freep) struct tar_stream *t = NULL;
	struct reading r = { h, 0 };
	const struct tar_sink sink = { &r, begin, data, end };
	struct err err = ERR_INIT;

	assert_true(tar_head_write(h, NULL, &out));
	assert_ok(tar_stream_new(&sink, 10, INT64_MAX, &t, &err), &err);
	assert_ok(tar_stream_feed(t, out.data, out.len, &err), &err);
	assert_int_equal(r.entries, 1);
}

static void names_of_any_length(void **state UNUSED)
{
	uint8_t text[700];

	for (size_t len = 1; len < sizeof text; len++)
		for (size_t slash = 0; slash < len; slash += 1 + slash / 3) {
			struct tar_head h = { .type = TAR_TYPE_FILE, .name = { text, len }, .mode = 0644 };

			memset(text, 0xfe, len);
			if (slash)
				text[slash] = '/';
			h.type = text[len - 1] == '/' ? TAR_TYPE_DIRECTORY : TAR_TYPE_FILE;
			assert_says(&h);
			h = (struct tar_head){ .type = TAR_TYPE_SYMLINK, .name = bytes_of("l"), .link = { text, len } };
			assert_says(&h);
		}
}

static void a_name_takes_records_only_where_no_header_has_room(void **state UNUSED)
{
	uint8_t text[256];
	struct tar_head h = { .type = TAR_TYPE_FILE, .name = { text, 100 } };

	memset(text, 'x', sizeof text);
	assert_int_equal(blocks_of(&h), 1);
	h.name.len = 101;
	assert_int_equal(blocks_of(&h), 3);
	text[155] = '/';
	h.name.len = 256;
	assert_int_equal(blocks_of(&h), 1);
	h.name.len = 156; /* a directory's slash is no place to cut */
	assert_int_equal(blocks_of(&h), 3);
}

static void numbers_of_any_size(void **state UNUSED)
{
	static const uint32_t ids[] = { 0, 1, 07777777, 010000000, UINT32_MAX - 1 };
	static const int64_t sizes[] = { 0, 1, INT64_C(077777777777), INT64_C(0100000000000), INT64_C(1) << 61 };

	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		const struct tar_head h = {
			.type = TAR_TYPE_FILE,
			.name = bytes_of("f"),
			.mode = 07777,
			.uid = ids[i],
			.gid = ids[ARRAY_LEN(ids) - 1 - i],
			.size = sizes[i],
		};

		assert_says(&h);
	}
}

static void times_before_and_after(void **state UNUSED)
{
	static const int64_t seconds[] = { 0, 1, -1, -2, 1700000000, INT64_C(077777777777), INT64_C(0100000000000) };
	static const uint32_t ns[] = { 0, 1, 500000000, 999999999, 120000000 };

	for (size_t i = 0; i < ARRAY_LEN(seconds); i++)
		for (size_t k = 0; k < ARRAY_LEN(ns); k++) {
			const struct tar_head h = {
				.type = TAR_TYPE_FIFO,
				.name = bytes_of("f"),
				.mtime = seconds[i],
				.mtime_ns = ns[k],
			};

			assert_says(&h);
		}
}

static void devices(void **state UNUSED)
{
	const struct tar_head h = { .type = TAR_TYPE_CHAR, .name = bytes_of("d"), .major = 0xfff, .minor = 0xfffff };

	assert_says(&h);
}

/* The length counts its own digits. */
static void records_count_themselves(void **state UNUSED)
{
	static const size_t lens[] = { 0, 1, 90, 91, 92, 93, 94, 95, 990, 991, 992, 993, 994, 65536 };
	static const uint8_t zeros[65536];

	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		CLEANUP(buf_free) struct buf out = BUF_INIT(CRAFT_MAX);

		assert_true(tar_record(&out, "a.", bytes_of("b"), (struct bytes){ zeros, lens[i] }));
		assert_int_equal(strtoul(buf_text(&out), NULL, 10), out.len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_any_length),
		cmocka_unit_test(a_name_takes_records_only_where_no_header_has_room),
		cmocka_unit_test(numbers_of_any_size),
		cmocka_unit_test(times_before_and_after),
		cmocka_unit_test(devices),
		cmocka_unit_test(records_count_themselves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

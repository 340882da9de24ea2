#include "tests/unit/layer/pieces.h"

struct bytes start_of(struct bytes data)
{
	return (struct bytes){ data.data, data.len < INFLATE_MAGIC ? data.len : INFLATE_MAGIC };
}

static int begin(struct inflate *z, enum blob_kind kind, struct bytes start, struct err *err)
{
	enum inflate_format format = magic_format(start);
	int rc = kind == LAYER ? inflate_sniff(start, &format, err) : OK;

	if (rc == OK)
		rc = inflate_init(z, format, WINDOW, err);
	if (rc == OK && kind == ARCHIVE)
		z->noun = "archive";
	return rc;
}

int inflate_in_pieces(enum blob_kind kind, struct bytes data, size_t piece, size_t room, struct buf *out,
		      struct err *err)
{
	CLEANUP(inflate_free) struct inflate z = { 0 };
	int rc = begin(&z, kind, start_of(data), err);

	while (rc == OK && data.len) {
		struct inflate_in in = { data.data, data.len < piece ? data.len : piece };
		size_t gave = in.left;
		bool full;

		do {
			struct inflate_out to = { buf_reserve(out, room), room };

			assert_non_null(to.next);
			rc = inflate_step(&z, &in, &to, err);
			out->len += room - to.left;
			full = rc == OK && !to.left;
		} while (full);
		assert_true(rc != OK || !in.left);
		data.data += gave;
		data.len -= gave;
	}
	return rc == OK ? inflate_finish(&z, err) : rc;
}

void assert_inflates(enum blob_kind kind, struct bytes data, struct bytes wanted)
{
	static const struct {
		size_t piece, room;
	} cuts[] = { { 1, 1 }, { 1, 10000 }, { 7, 13 }, { 4096, 511 }, { 65536, 65536 }, { CRAFT_MAX, 3 << 20 } };

	for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
		CLEANUP(buf_free) struct buf out = BUF_INIT(CRAFT_MAX);
		struct err err = ERR_INIT;

		assert_ok(inflate_in_pieces(kind, data, cuts[i].piece, cuts[i].room, &out, &err), &err);
		assert_int_equal(out.len, wanted.len);
		if (wanted.len)
			assert_memory_equal(out.data, wanted.data, wanted.len);
	}
}

void assert_refused(enum blob_kind kind, struct bytes data, int code, const char *text)
{
	static const size_t pieces[] = { 1, 100, CRAFT_MAX };

	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		CLEANUP(buf_free) struct buf out = BUF_INIT(CRAFT_MAX);
		struct err err = ERR_INIT;

		assert_fails(inflate_in_pieces(kind, data, pieces[i], 4096, &out, &err), &err, code, text);
	}
}

/*
 * The worker's data path on hostile bytes: inflate, and count the tar. The outcome
 * must not depend on how the bytes are cut into pieces.
 *
 * Input: a byte that chooses the sizes of the pieces, then the blob. With its low bit
 * set, each block gets the header checksum that it should have, or mutated headers
 * would hardly be read.
 */
#include "service/layer/inflate.h"
#include "service/layer/tar_count.h"
#include "tests/fuzz/tar_checksums.h"

enum { TAR_MAX = 1 << 20, ROOM_MAX = 65536, WINDOW = 1 << 20, ENTRIES = 1000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
	int rc;
	uint64_t tar_bytes, entries, files_bytes;
};

struct run {
	struct inflate inflate;
	struct tar_count count;
	uint64_t written;
};

/* Inflates what there is in pieces of `room` bytes. */
static int take_input(struct run *r, struct inflate_in in, size_t room)
{
	static uint8_t buffer[ROOM_MAX];
	struct inflate_out out;
	int rc;

	do {
		size_t len;

		out = (struct inflate_out){ buffer, room };
		rc = inflate_step(&r->inflate, &in, &out, NULL);
		len = room - out.left;
		r->written += len;
		if (rc == OK)
			rc = tar_count_feed(&r->count, buffer, len, NULL);
		if (rc == OK && r->written > TAR_MAX)
			rc = E_LIMIT;
	} while (rc == OK && !out.left);
	if (rc == OK && in.left)
		abort();
	return rc;
}

static int take_blob(struct run *r, struct bytes blob, size_t piece, size_t room)
{
	int rc = OK;

	while (rc == OK && blob.len) {
		struct inflate_in in = { blob.data, blob.len < piece ? blob.len : piece };

		blob.data += in.left;
		blob.len -= in.left;
		rc = take_input(r, in, room);
	}
	if (rc == OK)
		rc = inflate_finish(&r->inflate, NULL);
	return rc == OK ? tar_count_finish(&r->count, NULL) : rc;
}

static struct outcome run(struct bytes blob, size_t piece, size_t room)
{
	struct bytes start = { blob.data, blob.len < INFLATE_MAGIC ? blob.len : INFLATE_MAGIC };
	struct outcome o = { 0 };
	enum inflate_format format;
	struct run r = { 0 };

	o.rc = inflate_sniff(start, &format, NULL);
	if (o.rc != OK)
		return o;
	if (inflate_init(&r.inflate, format, WINDOW, NULL) != OK)
		abort();
	tar_count_init(&r.count, ENTRIES, INT64_MAX);
	o.rc = take_blob(&r, blob, piece, room);
	if (o.rc == OK)
		o = (struct outcome){ OK, r.count.offset, r.count.entries, r.count.files_bytes };
	tar_count_free(&r.count);
	inflate_free(&r.inflate);
	return o;
}

static void check(uint8_t cuts, struct bytes blob)
{
	struct outcome whole, cut;

	whole = run(blob, SIZE_MAX, ROOM_MAX);
	cut = run(blob, 1 + cuts % 16 * 37, 1 + cuts / 16 * 113);
	/* Which of two failures is met first may depend on the pieces. */
	if ((whole.rc == OK) != (cut.rc == OK))
		abort();
	if (whole.rc == OK &&
	    (whole.tar_bytes != cut.tar_bytes || whole.entries != cut.entries || whole.files_bytes != cut.files_bytes))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *blob = size ? malloc(size) : NULL;

	if (!blob)
		return 0;
	memcpy(blob, data + 1, size - 1);
	if (data[0] & 1)
		repair_checksums(blob, size - 1);
	check(data[0], (struct bytes){ blob, size - 1 });
	free(blob);
	return 0;
}

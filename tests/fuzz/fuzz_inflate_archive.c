/*
 * xz and bzip2 on hostile bytes, in pieces and at once: the outcome is the same.
 *
 * Input: a byte that chooses the sizes of the pieces, then the stream.
 */
#include "service/layer/inflate.h"

enum { PLAIN_MAX = 1 << 20, ROOM_MAX = 65536, WINDOW = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
	int rc;
	uint64_t written, sum;
};

static int take_input(struct inflate *z, struct inflate_in in, size_t room, struct outcome *o)
{
	static uint8_t buffer[ROOM_MAX];
	struct inflate_out out;
	int rc;

	do {
		out = (struct inflate_out){ buffer, room };
		rc = inflate_step(z, &in, &out, NULL);
		for (size_t i = 0; i < room - out.left; i++)
			o->sum = o->sum * 31 + buffer[i];
		o->written += room - out.left;
		if (rc == OK && o->written > PLAIN_MAX)
			rc = E_LIMIT;
	} while (rc == OK && !out.left);
	if (rc == OK && in.left)
		abort();
	return rc;
}

static struct outcome run(struct bytes stream, size_t piece, size_t room)
{
	struct bytes start = { stream.data, stream.len < INFLATE_MAGIC ? stream.len : INFLATE_MAGIC };
	struct outcome o = { 0 };
	struct inflate z;

	o.rc = inflate_init(&z, magic_format(start), WINDOW, NULL);
	while (o.rc == OK && stream.len) {
		struct inflate_in in = { stream.data, stream.len < piece ? stream.len : piece };

		stream.data += in.left;
		stream.len -= in.left;
		o.rc = take_input(&z, in, room, &o);
	}
	if (o.rc == OK)
		o.rc = inflate_finish(&z, NULL);
	inflate_free(&z);
	return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole, cut;
	struct bytes stream;

	if (!size)
		return 0;
	stream = (struct bytes){ data + 1, size - 1 };
	if (magic_format(stream) != INFLATE_XZ && magic_format(stream) != INFLATE_BZIP2)
		return 0; /* the others: fuzz_layer_data */
	whole = run(stream, SIZE_MAX, ROOM_MAX);
	cut = run(stream, 1 + data[0] % 16 * 37, 1 + data[0] / 16 * 113);
	if ((whole.rc == OK) != (cut.rc == OK))
		abort();
	if (whole.rc == OK && (whole.written != cut.written || whole.sum != cut.sum))
		abort();
	return 0;
}

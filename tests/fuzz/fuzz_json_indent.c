/*
 * Input: JSON, or what pretends to be: bytes that are no white space come through in
 * their order, and nothing else does.
 */
#include "client/cli/format/json_indent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUTPUT_MAX = 4 * 1024 * 1024 };

static void require(bool holds)
{
	if (!holds)
		abort();
}

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_space(struct bytes *b)
{
	while (b->len && is_space(b->data[0]))
		*b = (struct bytes){ b->data + 1, b->len - 1 };
}

static void same_without_space(struct bytes a, struct bytes b)
{
	for (;;) {
		skip_space(&a);
		skip_space(&b);
		if (!a.len || !b.len)
			break;
		require(a.data[0] == b.data[0]);
		a = (struct bytes){ a.data + 1, a.len - 1 };
		b = (struct bytes){ b.data + 1, b.len - 1 };
	}
	require(!a.len && !b.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(OUTPUT_MAX);

	json_indent(&out, (struct bytes){ data, size }, " ");
	if (buf_ok(&out))
		same_without_space((struct bytes){ data, size }, buf_bytes(&out));
	return 0;
}

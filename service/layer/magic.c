#include "service/layer/magic.h"

bool begins_with(struct bytes start, const char *magic, size_t len)
{
	return start.len >= len && !memcmp(start.data, magic, len);
}

/* A zstd stream may begin with a skippable frame: 0x184D2A50 to 0x184D2A5F. */
static bool is_skippable_frame(struct bytes start)
{
	return start.len >= 4 && (start.data[0] & 0xf0) == 0x50 && !memcmp(start.data + 1, "\x2a\x4d\x18", 3);
}

/* "BZh", the size of the blocks, and the first bytes of a block's or the end's own
 * magic number: the letters alone can be the name of a tar's first member. */
static bool is_bzip2(struct bytes start)
{
	return begins_with(start, "BZh", 3) && start.len >= 6 && start.data[3] >= '1' && start.data[3] <= '9' &&
	       (!memcmp(start.data + 4, "\x31\x41", 2) || !memcmp(start.data + 4, "\x17\x72", 2));
}

enum inflate_format magic_format(struct bytes start)
{
	if (begins_with(start, "\x1f\x8b\x08", 3))
		return INFLATE_GZIP;
	if (begins_with(start, "\x28\xb5\x2f\xfd", 4) || is_skippable_frame(start))
		return INFLATE_ZSTD;
	if (begins_with(start, "\xfd\x37\x7a\x58\x5a\x00", 6))
		return INFLATE_XZ;
	return is_bzip2(start) ? INFLATE_BZIP2 : INFLATE_PLAIN;
}

int magic_of_file(int fd, enum inflate_format *ret_format, struct err *err)
{
	uint8_t start[INFLATE_MAGIC];
	ssize_t n = pread(fd, start, sizeof start, 0);

	if (n < 0)
		return fail_errno(err, "read a layer");
	*ret_format = magic_format((struct bytes){ start, (size_t)n });
	return OK;
}

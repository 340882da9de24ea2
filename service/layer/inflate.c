#include "service/layer/inflate.h"

static bool begins_with(struct bytes start, const char *magic, size_t len)
{
	return start.len >= len && !memcmp(start.data, magic, len);
}

/* A zstd stream may begin with a skippable frame: 0x184D2A50 to 0x184D2A5F. */
static bool is_skippable_frame(struct bytes start)
{
	return start.len >= 4 && (start.data[0] & 0xf0) == 0x50 && !memcmp(start.data + 1, "\x2a\x4d\x18", 3);
}

int inflate_sniff(struct bytes start, enum inflate_format *ret_format, struct err *err)
{
	if (begins_with(start, "BZh", 3))
		return fail(err, E_UNSUPPORTED, "layer is compressed with bzip2, which is not supported");
	if (begins_with(start,
			"\xfd"
			"7zXZ",
			5))
		return fail(err, E_UNSUPPORTED, "layer is compressed with xz, which is not supported");
	if (begins_with(start, "\x1f\x8b\x08", 3))
		*ret_format = INFLATE_GZIP;
	else if (begins_with(start, "\x28\xb5\x2f\xfd", 4) || is_skippable_frame(start))
		*ret_format = INFLATE_ZSTD;
	else
		*ret_format = INFLATE_PLAIN;
	return OK;
}

int inflate_init(struct inflate *z, enum inflate_format format, uint64_t zstd_window, struct err *err)
{
	*z = (struct inflate){ .format = format };
	if (format == INFLATE_GZIP)
		z->gzip = inflate_gzip_new();
	if (format == INFLATE_ZSTD)
		z->zstd = inflate_zstd_new(zstd_window);
	if (format != INFLATE_PLAIN && !z->gzip && !z->zstd)
		return fail_nomem(err);
	return OK;
}

void inflate_free(struct inflate *z)
{
	inflate_gzip_free(TAKE(z->gzip));
	inflate_zstd_free(TAKE(z->zstd));
}

static int copy_step(struct inflate_in *in, struct inflate_out *out)
{
	size_t n = in->left < out->left ? in->left : out->left;

	if (n)
		memcpy(out->next, in->next, n);
	in->next += n;
	in->left -= n;
	out->next += n;
	out->left -= n;
	return OK;
}

int inflate_step(struct inflate *z, struct inflate_in *in, struct inflate_out *out, struct err *err)
{
	switch (z->format) {
	case INFLATE_GZIP:
		return inflate_gzip_step(z->gzip, in, out, err);
	case INFLATE_ZSTD:
		return inflate_zstd_step(z->zstd, in, out, err);
	default:
		return copy_step(in, out);
	}
}

int inflate_finish(const struct inflate *z, struct err *err)
{
	bool ended = z->format == INFLATE_GZIP	 ? inflate_gzip_ended(z->gzip)
		     : z->format == INFLATE_ZSTD ? inflate_zstd_ended(z->zstd)
						 : true;

	return ended ? OK : fail(err, E_BAD_CONTENT, "layer is truncated: the compressed stream has no end");
}

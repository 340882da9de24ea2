#include "service/layer/inflate.h"

#include <inttypes.h>

enum { RATIO_FROM = 64 * 1024 * 1024 }; /* small streams may be all zeros */

int inflate_sniff(struct bytes start, enum inflate_format *ret_format, struct err *err)
{
	if (begins_with(start, "BZh", 3))
		return fail(err, E_UNSUPPORTED, "layer is compressed with bzip2, which is not supported");
	if (begins_with(start,
			"\xfd"
			"7zXZ",
			5))
		return fail(err, E_UNSUPPORTED, "layer is compressed with xz, which is not supported");
	*ret_format = magic_format(start);
	return OK;
}

int inflate_init(struct inflate *z, enum inflate_format format, uint64_t zstd_window, struct err *err)
{
	*z = (struct inflate){ .format = format, .noun = "layer" };
	if (format == INFLATE_GZIP)
		z->gzip = inflate_gzip_new();
	if (format == INFLATE_ZSTD)
		z->zstd = inflate_zstd_new(zstd_window);
	if (format == INFLATE_XZ)
		z->xz = inflate_xz_new();
	if (format == INFLATE_BZIP2)
		z->bzip2 = inflate_bzip2_new();
	if (format != INFLATE_PLAIN && !z->gzip && !z->zstd && !z->xz && !z->bzip2)
		return fail_nomem(err);
	return OK;
}

void inflate_free(struct inflate *z)
{
	inflate_gzip_free(TAKE(z->gzip));
	inflate_zstd_free(TAKE(z->zstd));
	inflate_xz_free(TAKE(z->xz));
	inflate_bzip2_free(TAKE(z->bzip2));
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

static int step(struct inflate *z, struct inflate_in *in, struct inflate_out *out, struct err *err)
{
	switch (z->format) {
	case INFLATE_GZIP:
		return inflate_gzip_step(z->gzip, in, out, err);
	case INFLATE_ZSTD:
		return inflate_zstd_step(z->zstd, in, out, err);
	case INFLATE_XZ:
		return inflate_xz_step(z->xz, in, out, err);
	case INFLATE_BZIP2:
		return inflate_bzip2_step(z->bzip2, in, out, err);
	default:
		return copy_step(in, out);
	}
}

int inflate_step(struct inflate *z, struct inflate_in *in, struct inflate_out *out, struct err *err)
{
	struct err why = ERR_INIT;
	int rc = step(z, in, out, &why);

	if (rc == OK || rc == E_NO_MEMORY)
		return rc == OK ? OK : fail_nomem(err);
	return fail(err, rc, "%s %s", z->noun, why.text);
}

int inflate_check(const struct inflate *z, const struct layer_limits *limits, uint64_t read, uint64_t written,
		  struct err *err)
{
	if (written > limits->tar_bytes)
		return fail(err, E_LIMIT, "%s is larger than %" PRIu64 " bytes when decompressed", z->noun,
			    limits->tar_bytes);
	if (written > RATIO_FROM && written / limits->ratio > read)
		return fail(err, E_LIMIT, "%s expands to more than %" PRIu64 " times its size", z->noun, limits->ratio);
	return OK;
}

static bool has_ended(const struct inflate *z)
{
	switch (z->format) {
	case INFLATE_GZIP:
		return inflate_gzip_ended(z->gzip);
	case INFLATE_ZSTD:
		return inflate_zstd_ended(z->zstd);
	case INFLATE_XZ:
		return inflate_xz_ended(z->xz);
	case INFLATE_BZIP2:
		return inflate_bzip2_ended(z->bzip2);
	default:
		return true;
	}
}

int inflate_finish(const struct inflate *z, struct err *err)
{
	if (has_ended(z))
		return OK;
	return fail(err, E_BAD_CONTENT, "%s is truncated: the compressed stream has no end", z->noun);
}

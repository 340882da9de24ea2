/* bzip2 with libbz2, which verifies the checksums by itself. */
#include <bzlib.h>

#include "service/layer/inflate.h"

enum bzip2_place { BZIP2_BETWEEN, BZIP2_IN_STREAM };

struct inflate_bzip2 {
	enum bzip2_place place;
	bool began; /* some stream has */
	bz_stream stream;
};

struct inflate_bzip2 *inflate_bzip2_new(void)
{
	return calloc(1, sizeof(struct inflate_bzip2));
}

void inflate_bzip2_free(struct inflate_bzip2 *z)
{
	if (z && z->place == BZIP2_IN_STREAM)
		BZ2_bzDecompressEnd(&z->stream);
	free(z);
}

static int begin_stream(struct inflate_bzip2 *z, struct err *err)
{
	enum { QUIET = 0, FAST = 0 };

	z->stream = (bz_stream){ 0 };
	if (BZ2_bzDecompressInit(&z->stream, QUIET, FAST) != BZ_OK)
		return fail_nomem(err);
	z->place = BZIP2_IN_STREAM;
	return OK;
}

static void leave_stream(struct inflate_bzip2 *z)
{
	BZ2_bzDecompressEnd(&z->stream);
	z->place = BZIP2_BETWEEN;
	z->began = true;
}

static int fail_bzip2(const struct inflate_bzip2 *z, int code, struct err *err)
{
	if (code == BZ_MEM_ERROR)
		return fail_nomem(err);
	if (code == BZ_DATA_ERROR_MAGIC && z->began)
		return fail(err, E_BAD_CONTENT, "is damaged: bytes after the end of the bzip2 stream");
	return fail(err, E_BAD_CONTENT, "is damaged: invalid bzip2 data");
}

static unsigned up_to_4g(size_t n)
{
	return n < UINT32_MAX ? (unsigned)n : UINT32_MAX;
}

/* libbz2 never writes to the bytes of next_in, it only lacks the const. */
static int inflate_some(struct inflate_bzip2 *z, struct inflate_in *in, struct inflate_out *out, struct err *err)
{
	unsigned gave = up_to_4g(in->left), room = up_to_4g(out->left);
	int code;

	z->stream.next_in = (char *)in->next;
	z->stream.avail_in = gave;
	z->stream.next_out = (char *)out->next;
	z->stream.avail_out = room;
	code = BZ2_bzDecompress(&z->stream);
	in->next += gave - z->stream.avail_in;
	in->left -= gave - z->stream.avail_in;
	out->next += room - z->stream.avail_out;
	out->left -= room - z->stream.avail_out;
	if (code != BZ_OK && code != BZ_STREAM_END)
		return fail_bzip2(z, code, err);
	if (code == BZ_STREAM_END)
		leave_stream(z);
	return OK;
}

int inflate_bzip2_step(struct inflate_bzip2 *z, struct inflate_in *in, struct inflate_out *out, struct err *err)
{
	size_t before;
	int rc = OK;

	do {
		before = in->left + out->left;
		if (z->place == BZIP2_BETWEEN) {
			if (!in->left)
				return OK;
			rc = begin_stream(z, err);
		}
		if (rc == OK)
			rc = inflate_some(z, in, out, err);
	} while (rc == OK && in->left && out->left && in->left + out->left != before);
	return rc;
}

bool inflate_bzip2_ended(const struct inflate_bzip2 *z)
{
	return z->place == BZIP2_BETWEEN;
}

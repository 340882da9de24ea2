/* xz with liblzma, which verifies the checks by itself. */
#include <lzma.h>

#include "service/layer/inflate.h"

struct inflate_xz {
	lzma_stream stream;
};

struct inflate_xz *inflate_xz_new(void)
{
	const uint32_t flags = LZMA_CONCATENATED | LZMA_TELL_UNSUPPORTED_CHECK;
	struct inflate_xz *z = calloc(1, sizeof *z);

	if (!z)
		return NULL;
	z->stream = (lzma_stream)LZMA_STREAM_INIT;
	if (lzma_stream_decoder(&z->stream, INFLATE_XZ_MEMORY, flags) != LZMA_OK) {
		inflate_xz_free(z);
		return NULL;
	}
	return z;
}

void inflate_xz_free(struct inflate_xz *z)
{
	if (z)
		lzma_end(&z->stream);
	free(z);
}

static int fail_xz(struct err *err, lzma_ret code)
{
	switch (code) {
	case LZMA_MEMLIMIT_ERROR:
		return fail(err, E_LIMIT, "needs more memory for xz than is allowed");
	case LZMA_MEM_ERROR:
		return fail_nomem(err);
	case LZMA_UNSUPPORTED_CHECK:
	case LZMA_OPTIONS_ERROR:
		return fail(err, E_UNSUPPORTED, "is compressed with a form of xz that is not supported");
	default:
		return fail(err, E_BAD_CONTENT, "is damaged: invalid xz data");
	}
}

/* LZMA_BUF_ERROR: nothing could be done, for lack of input or of room. */
int inflate_xz_step(struct inflate_xz *z, struct inflate_in *in, struct inflate_out *out, struct err *err)
{
	lzma_ret code;

	z->stream.next_in = in->next;
	z->stream.avail_in = in->left;
	z->stream.next_out = out->next;
	z->stream.avail_out = out->left;
	code = lzma_code(&z->stream, LZMA_RUN);
	in->next = z->stream.next_in;
	in->left = z->stream.avail_in;
	out->next = z->stream.next_out;
	out->left = z->stream.avail_out;
	return code == LZMA_OK || code == LZMA_BUF_ERROR ? OK : fail_xz(err, code);
}

/* Only here the decoder is told that nothing follows: with streams one after the other,
 * it is what makes the last one the last. */
bool inflate_xz_ended(struct inflate_xz *z)
{
	uint8_t none;

	z->stream.next_in = &none;
	z->stream.avail_in = 0;
	z->stream.next_out = &none;
	z->stream.avail_out = 0;
	return lzma_code(&z->stream, LZMA_FINISH) == LZMA_STREAM_END;
}

/* zstd (RFC 8878) with libzstd, which verifies the frame checksums by itself. */
#include <zstd.h>
#include <zstd_errors.h>

#include "service/layer/inflate.h"

enum {
	MAGIC_BYTES = 4,
	HEADER_MAX = 18, /* RFC 8878, 3.1.1.1, with the magic number */
};

struct inflate_zstd {
	ZSTD_DCtx *context;
	size_t wants; /* 0: between two frames */

	/* Of the frame: */
	uint8_t head[HEADER_MAX];
	size_t head_len;
	uint64_t made; /* bytes that came out of it */
};

/* The largest power of two that is not above the limit, as its exponent. */
static int window_log(uint64_t window)
{
	ZSTD_bounds bounds = ZSTD_dParam_getBounds(ZSTD_d_windowLogMax);
	int log = bounds.lowerBound;

	while (log < bounds.upperBound && log < 62 && (uint64_t)1 << (log + 1) <= window)
		log++;
	return log;
}

struct inflate_zstd *inflate_zstd_new(uint64_t window)
{
	struct inflate_zstd *z = calloc(1, sizeof *z);

	if (!z)
		return NULL;
	z->wants = 1; /* a stream without any frame is truncated */
	z->context = ZSTD_createDCtx();
	if (!z->context || ZSTD_isError(ZSTD_DCtx_setParameter(z->context, ZSTD_d_windowLogMax, window_log(window)))) {
		inflate_zstd_free(z);
		return NULL;
	}
	return z;
}

void inflate_zstd_free(struct inflate_zstd *z)
{
	if (!z)
		return;
	ZSTD_freeDCtx(z->context);
	free(z);
}

static int fail_zstd(struct err *err, size_t code)
{
	switch (ZSTD_getErrorCode(code)) {
	case ZSTD_error_frameParameter_windowTooLarge:
		return fail(err, E_LIMIT, "needs a larger zstd window than is allowed");
	case ZSTD_error_memory_allocation:
		return fail_nomem(err);
	default:
		return fail(err, E_BAD_CONTENT, "is damaged: zstd: %s", ZSTD_getErrorName(code));
	}
}

/* How many bytes of the frame's header have been read. */
static size_t position(const struct inflate_zstd *z)
{
	return z->wants ? z->head_len : 0;
}

/* A frame that is there as a whole goes another way through libzstd, which takes and
 * refuses other frames than the one in pieces. So that all go one way, and the result
 * does not depend on the pieces, a header is given to it byte by byte. */
static size_t piece_size(const struct inflate_zstd *z, const struct inflate_in *in)
{
	return position(z) < HEADER_MAX ? min_size(in->left, 1) : in->left;
}

/* RFC 8878, 3.1.1 and 3.1.2, of the next byte. libzstd may also know the formats of
 * before it; with those it depends on the pieces whether a stream is taken. */
static int check_magic(const struct inflate_zstd *z, const struct inflate_in *in, struct err *err)
{
	static const uint8_t magic[MAGIC_BYTES] = { 0x28, 0xb5, 0x2f, 0xfd };
	static const uint8_t skippable[MAGIC_BYTES] = { 0x50, 0x2a, 0x4d, 0x18 };
	size_t at = position(z);
	bool skips;

	if (at >= MAGIC_BYTES || !in->left)
		return OK;
	skips = (at ? z->head[0] : *in->next) >> 4 == 5; /* 0x50 to 0x5f */
	return (skips && !at) || *in->next == (skips ? skippable : magic)[at]
		       ? OK
		       : fail(err, E_BAD_CONTENT, "is damaged: zstd: no frame begins where one should");
}

/* libzstd compares the content size of a frame's header with what came only where it
 * has the whole frame at once, which it never has here. */
static int check_content_size(const struct inflate_zstd *z, struct err *err)
{
	unsigned long long claimed = ZSTD_getFrameContentSize(z->head, z->head_len);

	if (claimed == ZSTD_CONTENTSIZE_UNKNOWN || claimed == z->made)
		return OK;
	return fail(err, E_BAD_CONTENT, "is damaged: zstd: a frame has another size than its header says");
}

/* One call of libzstd stays within a frame. */
static int note_progress(struct inflate_zstd *z, const ZSTD_inBuffer *from, const ZSTD_outBuffer *to, size_t wants,
			 struct err *err)
{
	size_t part;

	if (!z->wants) {
		z->head_len = 0;
		z->made = 0;
	}
	part = sizeof z->head - z->head_len;
	if (part > from->pos)
		part = from->pos;
	if (part)
		memcpy(z->head + z->head_len, from->src, part);
	z->head_len += part;
	z->made += to->pos;
	z->wants = wants;
	return wants ? OK : check_content_size(z, err);
}

int inflate_zstd_step(struct inflate_zstd *z, struct inflate_in *in, struct inflate_out *out, struct err *err)
{
	size_t before;

	do {
		ZSTD_inBuffer from = { in->next, piece_size(z, in), 0 };
		ZSTD_outBuffer to = { out->next, out->left, 0 };
		size_t wants;

		before = in->left + out->left;
		/* Without input, a call between frames would begin a new one. */
		if (!z->wants && !in->left)
			return OK;
		if (check_magic(z, in, err) < 0)
			return E_BAD_CONTENT;
		wants = ZSTD_decompressStream(z->context, &to, &from);
		if (ZSTD_isError(wants))
			return fail_zstd(err, wants);
		if (note_progress(z, &from, &to, wants, err) < 0)
			return E_BAD_CONTENT;
		in->next += from.pos;
		in->left -= from.pos;
		out->next += to.pos;
		out->left -= to.pos;
	} while (in->left && out->left && in->left + out->left != before);
	return OK;
}

bool inflate_zstd_ended(const struct inflate_zstd *z)
{
	return !z->wants;
}

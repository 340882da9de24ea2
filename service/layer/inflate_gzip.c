/*
 * gzip (RFC 1952) with ISA-L. The member headers are parsed by ISA-L, which also
 * compares CRC and length in each trailer.
 */
#include <isa-l/igzip_lib.h>

#include "service/layer/inflate.h"

enum gzip_place { GZIP_IN_MEMBER, GZIP_BETWEEN, GZIP_IN_PADDING };

struct inflate_gzip {
	enum gzip_place place;
	struct inflate_state state;
};

static void begin_member(struct inflate_gzip *z)
{
	isal_inflate_reset(&z->state);
	z->state.crc_flag = ISAL_GZIP;
	z->place = GZIP_IN_MEMBER;
}

struct inflate_gzip *inflate_gzip_new(void)
{
	struct inflate_gzip *z = calloc(1, sizeof *z);

	if (!z)
		return NULL;
	isal_inflate_init(&z->state);
	begin_member(z);
	return z;
}

void inflate_gzip_free(struct inflate_gzip *z)
{
	free(z);
}

static int fail_gzip(struct err *err, int code)
{
	switch (code) {
	case ISAL_INVALID_WRAPPER:
	case ISAL_UNSUPPORTED_METHOD:
		return fail(err, E_BAD_CONTENT, "layer is damaged: invalid gzip header");
	case ISAL_INCORRECT_CHECKSUM:
		return fail(err, E_BAD_CONTENT, "layer is damaged: gzip checksum or length does not match");
	default:
		return fail(err, E_BAD_CONTENT, "layer is damaged: invalid deflate data");
	}
}

static uint32_t up_to_4g(size_t n)
{
	return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

/* In a member. ISA-L writes to next_in's bytes nowhere, it only lacks the const. */
static int inflate_some(struct inflate_gzip *z, struct inflate_in *in, struct inflate_out *out, struct err *err)
{
	uint32_t gave = up_to_4g(in->left), room = up_to_4g(out->left);
	int code;

	z->state.next_in = (uint8_t *)in->next;
	z->state.avail_in = gave;
	z->state.next_out = out->next;
	z->state.avail_out = room;
	code = isal_inflate(&z->state);
	in->next += gave - z->state.avail_in;
	in->left -= gave - z->state.avail_in;
	out->next += room - z->state.avail_out;
	out->left -= room - z->state.avail_out;
	if (code < 0 || code > ISAL_OUT_OVERFLOW)
		return fail_gzip(err, code);
	if (z->state.block_state == ISAL_BLOCK_FINISH)
		z->place = GZIP_BETWEEN;
	return OK;
}

static int skip_padding(struct inflate_in *in, struct err *err)
{
	for (; in->left; in->next++, in->left--)
		if (*in->next)
			return fail(err, E_BAD_CONTENT, "layer is damaged: bytes after the end of the gzip stream");
	return OK;
}

int inflate_gzip_step(struct inflate_gzip *z, struct inflate_in *in, struct inflate_out *out, struct err *err)
{
	size_t before;
	int rc;

	do {
		if (z->place == GZIP_BETWEEN && in->left) {
			if (*in->next)
				begin_member(z);
			else
				z->place = GZIP_IN_PADDING;
		}
		before = in->left + out->left;
		if (z->place == GZIP_IN_PADDING)
			rc = skip_padding(in, err);
		else if (z->place == GZIP_IN_MEMBER)
			rc = inflate_some(z, in, out, err);
		else
			rc = OK;
		if (rc != OK)
			return rc;
	} while (in->left && out->left && in->left + out->left != before);
	return OK;
}

bool inflate_gzip_ended(const struct inflate_gzip *z)
{
	return z->place != GZIP_IN_MEMBER;
}

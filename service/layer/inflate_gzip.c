/*
 * gzip (RFC 1952): headers by gzip_header.h, the rest by ISA-L, which also compares
 * CRC and length in each trailer.
 */
#include <isa-l/igzip_lib.h>

#include "service/layer/gzip_header.h"
#include "service/layer/inflate.h"

enum gzip_place { GZIP_IN_HEADER, GZIP_IN_DATA, GZIP_BETWEEN, GZIP_IN_PADDING };

struct inflate_gzip {
	enum gzip_place place;
	struct gzip_header header;
	struct inflate_state state;
};

static void begin_member(struct inflate_gzip *z)
{
	isal_inflate_reset(&z->state);
	z->state.crc_flag = ISAL_GZIP_NO_HDR_VER;
	z->header = (struct gzip_header){ 0 };
	z->place = GZIP_IN_HEADER;
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

static int fail_deflate(struct err *err, int code)
{
	if (code == ISAL_INCORRECT_CHECKSUM)
		return fail(err, E_BAD_CONTENT, "is damaged: gzip checksum or length does not match");
	return fail(err, E_BAD_CONTENT, "is damaged: invalid deflate data");
}

static int take_header(struct inflate_gzip *z, struct inflate_in *in, struct err *err)
{
	size_t taken;
	enum gzip_header_outcome outcome = gzip_header_take(&z->header, in->next, in->left, &taken);

	if (outcome == GZIP_HEADER_BAD)
		return fail(err, E_BAD_CONTENT, "is damaged: invalid gzip header");
	in->next += taken;
	in->left -= taken;
	if (outcome == GZIP_HEADER_DONE)
		z->place = GZIP_IN_DATA;
	return OK;
}

static uint32_t up_to_4g(size_t n)
{
	return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

/* ISA-L never writes to the bytes of next_in, it only lacks the const. */
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
		return fail_deflate(err, code);
	if (z->state.block_state == ISAL_BLOCK_FINISH)
		z->place = GZIP_BETWEEN;
	return OK;
}

static int skip_padding(struct inflate_in *in, struct err *err)
{
	for (; in->left; in->next++, in->left--)
		if (*in->next)
			return fail(err, E_BAD_CONTENT, "is damaged: bytes after the end of the gzip stream");
	return OK;
}

/* A zero cannot begin a member: it is padding. */
static int leave_member(struct inflate_gzip *z, const struct inflate_in *in)
{
	if (*in->next)
		begin_member(z);
	else
		z->place = GZIP_IN_PADDING;
	return OK;
}

static int step(struct inflate_gzip *z, struct inflate_in *in, struct inflate_out *out, struct err *err)
{
	if (z->place == GZIP_IN_DATA)
		return inflate_some(z, in, out, err);
	if (!in->left)
		return OK;
	switch (z->place) {
	case GZIP_IN_HEADER:
		return take_header(z, in, err);
	case GZIP_BETWEEN:
		return leave_member(z, in);
	default:
		return skip_padding(in, err);
	}
}

int inflate_gzip_step(struct inflate_gzip *z, struct inflate_in *in, struct inflate_out *out, struct err *err)
{
	enum gzip_place place;
	size_t before;
	int rc;

	do {
		place = z->place;
		before = in->left + out->left;
		rc = step(z, in, out, err);
	} while (rc == OK && in->left && out->left && (place != z->place || in->left + out->left != before));
	return rc;
}

bool inflate_gzip_ended(const struct inflate_gzip *z)
{
	return z->place == GZIP_BETWEEN || z->place == GZIP_IN_PADDING;
}

#include "service/layer/gzip_header.h"

#include <isa-l/crc.h>
#include <stdbool.h>

enum { FLAG_HCRC = 2, FLAG_EXTRA = 4, FLAG_NAME = 8, FLAG_COMMENT = 16, FLAGS_RESERVED = 0xe0 };

enum { AT_FLAGS = 3, FIXED_LEN = 10, NUMBER_LEN = 2 };

static const uint8_t magic[] = { 0x1f, 0x8b, 8 }; /* and the only method there is */

/* Goes to the next part that this header has. */
static void next_part(struct gzip_header *h)
{
	static const uint8_t needs[GZIP_PARTS] = {
		[GZIP_EXTRA_LEN] = FLAG_EXTRA, [GZIP_EXTRA] = FLAG_EXTRA,   [GZIP_NAME] = FLAG_NAME,
		[GZIP_COMMENT] = FLAG_COMMENT, [GZIP_CHECKSUM] = FLAG_HCRC,
	};

	do
		h->part++;
	while (h->part < GZIP_PARTS && (!(h->flags & needs[h->part]) || (h->part == GZIP_EXTRA && !h->value)));
	h->n = 0;
}

static bool take_fixed(struct gzip_header *h, uint8_t byte)
{
	if (h->n < sizeof magic && byte != magic[h->n])
		return false;
	if (h->n == AT_FLAGS) {
		h->flags = byte;
		if (byte & FLAGS_RESERVED)
			return false;
	}
	if (++h->n == FIXED_LEN)
		next_part(h);
	return true;
}

/* A little-endian number of two bytes; true when it is complete. */
static bool take_number(struct gzip_header *h, uint8_t byte)
{
	if (!h->n)
		h->value = 0;
	h->value |= (size_t)byte << (8 * h->n);
	return ++h->n == NUMBER_LEN;
}

static bool take_checksum(struct gzip_header *h, uint8_t byte)
{
	if (!take_number(h, byte))
		return true;
	next_part(h);
	return h->value == (h->crc & 0xffff);
}

static bool take_byte(struct gzip_header *h, uint8_t byte)
{
	if (++h->total > GZIP_HEADER_MAX)
		return false;
	if (h->part != GZIP_CHECKSUM)
		h->crc = crc32_gzip_refl(h->crc, &byte, 1);
	switch (h->part) {
	case GZIP_FIXED:
		return take_fixed(h, byte);
	case GZIP_EXTRA_LEN:
		if (take_number(h, byte))
			next_part(h);
		return true;
	case GZIP_EXTRA:
		if (++h->n == h->value)
			next_part(h);
		return true;
	case GZIP_CHECKSUM:
		return take_checksum(h, byte);
	default: /* name and comment end with a NUL */
		if (!byte)
			next_part(h);
		return true;
	}
}

enum gzip_header_outcome gzip_header_take(struct gzip_header *h, const uint8_t *data, size_t len, size_t *ret_taken)
{
	size_t taken = 0;

	while (h->part < GZIP_PARTS && taken < len)
		if (!take_byte(h, data[taken++]))
			return GZIP_HEADER_BAD;
	*ret_taken = taken;
	return h->part == GZIP_PARTS ? GZIP_HEADER_DONE : GZIP_HEADER_MORE;
}

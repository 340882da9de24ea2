/*
 * The header of a gzip member (RFC 1952, 2.3), in pieces of any length. Not ISA-L's
 * own parser: that one loses the header checksum when a header comes in pieces.
 *
 * Pure state, no allocation, one thread.
 */
#ifndef SERVICE_LAYER_GZIP_HEADER_H
#define SERVICE_LAYER_GZIP_HEADER_H

#include <stddef.h>
#include <stdint.h>

enum { GZIP_HEADER_MAX = 1024 * 1024 }; /* RFC 1952 has no limit; names are short */

enum gzip_part {
	GZIP_FIXED, /* the ten bytes that each header has */
	GZIP_EXTRA_LEN,
	GZIP_EXTRA,
	GZIP_NAME,
	GZIP_COMMENT,
	GZIP_CHECKSUM,
	GZIP_PARTS, /* the header is over */
};

struct gzip_header {
	enum gzip_part part;
	uint8_t flags;
	uint32_t crc; /* of the header so far, when the flags ask for it */
	size_t total; /* bytes so far */
	size_t n;     /* bytes of this part so far */
	size_t value; /* of the two-byte numbers */
};

enum gzip_header_outcome { GZIP_HEADER_MORE, GZIP_HEADER_DONE, GZIP_HEADER_BAD };

/* Begin with zeros. Takes bytes until the header is over or there are no more;
 * *ret_taken tells how many. */
enum gzip_header_outcome gzip_header_take(struct gzip_header *h, const uint8_t *data, size_t len, size_t *ret_taken);

#endif

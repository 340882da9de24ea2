/*
 * One character of UTF-8 (RFC 3629: shortest form, no surrogates, at most U+10FFFF).
 */
#ifndef PROTO_RUNTIME_UTF8_H
#define PROTO_RUNTIME_UTF8_H

#include "proto/runtime/mem.h"

/* How many bytes the first character takes, 0 when the bytes begin with none. */
static inline size_t utf8_rune(struct bytes b, uint32_t *ret_rune)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint8_t c = b.len ? b.data[0] : 0xff;
	size_t n = c < 0x80 ? 1 : (c & 0xe0) == 0xc0 ? 2 : (c & 0xf0) == 0xe0 ? 3 : (c & 0xf8) == 0xf0 ? 4 : 0;
	uint32_t rune = n == 1 ? c : c & (0x7fu >> n);

	if (!n || n > b.len)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((b.data[i] & 0xc0) != 0x80)
			return 0;
		rune = rune << 6 | (b.data[i] & 0x3f);
	}
	if (rune < least[n] || rune > 0x10ffff || (rune >= 0xd800 && rune < 0xe000))
		return 0;
	*ret_rune = rune;
	return n;
}

#endif

/*
 * Protobuf's variable-length integer.
 */
#ifndef PROTO_RUNTIME_VARINT_H
#define PROTO_RUNTIME_VARINT_H

#include "proto/runtime/mem.h"

enum { VARINT_MAX = 10 }; /* bytes */

/* Takes one from the front; false, and nothing taken, when it does not end. */
static inline bool take_varint(struct bytes *in, uint64_t *ret_value)
{
	uint64_t value = 0;

	for (size_t i = 0; i < in->len && i < VARINT_MAX; i++) {
		value |= (uint64_t)(in->data[i] & 0x7f) << (7 * i);
		if (!(in->data[i] & 0x80)) {
			in->data += i + 1;
			in->len -= i + 1;
			*ret_value = value;
			return true;
		}
	}
	return false;
}

#endif

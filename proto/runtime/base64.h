/* Base64 (RFC 4648, 4). */
#ifndef PROTO_RUNTIME_BASE64_H
#define PROTO_RUNTIME_BASE64_H

#include "proto/runtime/buf.h"

bool base64_encode(struct buf *out, const void *data, size_t len);
/* False when it is none. Padding may be missing. */
bool base64_decode(struct buf *out, const char *text);

#endif

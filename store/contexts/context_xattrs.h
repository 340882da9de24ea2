/*
 * Extended attributes as the files of a context hold them: of each the length of its name
 * (2 bytes) and of its value (4), the machine's order, and both. Written only after
 * context_xattrs_check(); read from files of our own.
 */
#ifndef STORE_CONTEXTS_CONTEXT_XATTRS_H
#define STORE_CONTEXTS_CONTEXT_XATTRS_H

#include "proto/runtime/buf.h"
#include "store/types/context_entry.h"

enum { CONTEXT_XATTRS_PACKED_MAX = 2 * CONTEXT_XATTRS_MAX };

void context_xattrs_pack(const struct context_xattr *xattrs, size_t n, struct buf *out);
/* Takes the first one from the front; false at the end. */
bool context_xattrs_next(struct bytes *packed, struct context_xattr *ret_xattr);

#endif

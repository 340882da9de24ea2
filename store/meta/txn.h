/*
 * Inside of a transaction being collected, for the back ends.
 */
#ifndef STORE_META_TXN_H
#define STORE_META_TXN_H

#include "store/meta/meta.h"

enum meta_op_kind { META_PUT, META_DELETE, META_PUT_AT_REVISION };

/* A range of meta_txn.bytes, which moves while it grows. */
struct meta_span {
	size_t at, len;
};

struct meta_op {
	enum meta_op_kind kind;
	struct meta_span key, value;
};

struct meta_compare {
	struct meta_span key;
	uint64_t revision;
};

struct meta_txn {
	struct meta_op ops[META_TXN_OPS];
	size_t n_ops;
	struct meta_compare compares[META_TXN_OPS];
	size_t n_compares;
	size_t n_numbered; /* of the ops, those of kind META_PUT_AT_REVISION */
	struct buf bytes;
	bool use_reserve;
};

static inline struct bytes meta_span(const struct meta_txn *t, struct meta_span s)
{
	return (struct bytes){ t->bytes.data + s.at, s.len };
}

#endif

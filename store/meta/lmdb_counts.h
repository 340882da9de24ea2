/*
 * How many things the keys of a space name: kept beside the revision, by the transaction that
 * changes them, so that to tell it is to read one value.
 *
 * The record says of which revision it is. One of another revision was left behind by a program
 * that does not keep counts, as one that is missing: then, and only then, keys are walked, and the
 * next transaction writes the record anew.
 *
 * Inside of a transaction of LMDB, whose thread calls.
 */
#ifndef STORE_META_LMDB_COUNTS_H
#define STORE_META_LMDB_COUNTS_H

#include "store/meta/lmdb.h"

struct lmdb_counts {
	int64_t n[META_COUNTERS_MAX];
};

/* As they are at this revision, the newest that the transaction sees. */
int lmdb_counts_get(struct lmdb *m, MDB_txn *mdb, uint64_t revision, struct lmdb_counts *ret_counts, struct err *err);
int lmdb_counts_put(struct lmdb *m, MDB_txn *mdb, uint64_t revision, const struct lmdb_counts *counts, struct err *err);

/* What a key counts as, and whether any key names it: asked before a change and after it. */
struct lmdb_counted {
	size_t counter;
	struct bytes name; /* of no bytes: it does not count */
	bool was_there;
};

int lmdb_counts_before(struct lmdb *m, MDB_txn *mdb, struct bytes key, struct lmdb_counted *ret_counted,
		       struct err *err);
int lmdb_counts_after(struct lmdb *m, MDB_txn *mdb, const struct lmdb_counted *counted, struct lmdb_counts *counts,
		      struct err *err);

#endif

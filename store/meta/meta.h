/*
 * The metadata store: ordered keys, values with revisions, transactions.
 *
 * One vtable with the semantics of etcd v3, so that a clustered back end can take
 * the place of LMDB: a revision counter that grows with every committed
 * transaction; each value knows the revision that wrote it; a transaction
 * compares revisions, then applies all its operations or none. A committed
 * transaction is durable. There is no read transaction to hold: each get or range
 * sees one consistent state, and calls in a row may see different ones.
 *
 * Limits (DESIGN.md 11.2, 11.3): keys of 1..META_KEY_MAX bytes that do not begin
 * with a zero byte (those are the back end's), at most META_TXN_OPS operations, as
 * many comparisons, and META_TXN_BYTES bytes in one transaction (asserted: callers
 * split).
 *
 * Disk full: a full map or disk is E_DISK_FULL and changes nothing. The back end
 * keeps some room of its own aside, which only transactions may take that give
 * space back (meta_txn_use_reserve): images can be removed on a full disk.
 *
 * Threads: all functions from any thread. Visitors run inside a read snapshot:
 * they copy what they need and must not call the store.
 */
#ifndef STORE_META_META_H
#define STORE_META_META_H

#include "proto/runtime/buf.h"

enum {
	META_KEY_MAX = 500,
	META_TXN_OPS = 100,
	META_TXN_BYTES = 1024 * 1024,
	META_COUNTERS_MAX = 4,
};

struct meta;

/* A transaction being collected. Compares and operations copy their bytes. */
struct meta_txn;

/* Returns false to stop. */
typedef bool meta_visit(void *arg, struct bytes key, struct bytes value, uint64_t revision);

struct meta_ops {
	/* OK with the value in `out` and its revision; E_NOT_FOUND. */
	int (*get)(struct meta *m, struct bytes key, struct buf *out, uint64_t *ret_revision, struct err *err);
	/* Visits from <= key < to in order; an empty `to` means to the end. */
	int (*range)(struct meta *m, struct bytes from, struct bytes to, meta_visit *visit, void *arg, struct err *err);
	/* E_ABORTED when a comparison does not hold. */
	int (*commit)(struct meta *m, struct meta_txn *txn, uint64_t *ret_revision, struct err *err);
	/* Of the newest transaction; 0 before the first, and when it cannot be read.
	 * Two equal answers, not 0, mean that all reads between them saw one state. */
	uint64_t (*revision)(struct meta *m);
	/* Bytes on the disk. */
	int64_t (*size)(struct meta *m);
	/* What the counter has counted, without a walk. */
	int (*count)(struct meta *m, size_t counter, int64_t *ret_count, struct err *err);
	void (*close)(struct meta *m);
};

struct meta {
	const struct meta_ops *ops;
};

/* Things whose number a space keeps while they come and go. A key that begins with the prefix
 * names one by its first bytes, as many as name_bytes() says: 0 for a key that does not count.
 * Keys of the same name are one thing. Prefixes must not begin with one another. */
struct meta_counter {
	struct bytes prefix;
	size_t (*name_bytes)(struct bytes key); /* NULL: the whole key */
};

/* The LMDB back end in `dir_fd`/name (a directory, made if missing). `reserve`: bytes
 * to keep aside. read_only: nothing is made or locked, commits are E_READ_ONLY. */
struct meta_lmdb_options {
	bool read_only;
	int64_t reserve;
	const struct meta_counter *counters; /* outlive the space */
	size_t n_counters;		     /* <= META_COUNTERS_MAX */
};

int meta_open_lmdb(int dir_fd, const char *name, const struct meta_lmdb_options *options, struct meta **ret_meta,
		   struct err *err);
void meta_close(struct meta *m); /* NULL is fine */

/* `out` is emptied first; it and ret_revision may be NULL. E_LIMIT: the value does
 * not fit the buffer. */
int meta_get(struct meta *m, struct bytes key, struct buf *out, uint64_t *ret_revision, struct err *err);
int meta_range(struct meta *m, struct bytes from, struct bytes to, meta_visit *visit, void *arg, struct err *err);
/* All keys that begin with the prefix. */
int meta_prefix(struct meta *m, struct bytes prefix, meta_visit *visit, void *arg, struct err *err);

struct meta_txn *meta_txn_new(void);
void meta_txn_free(struct meta_txn *t);
void meta_txn_freep(struct meta_txn **t);
/* The value must still be of this revision; 0: the key must not exist. */
void meta_txn_compare(struct meta_txn *t, struct bytes key, uint64_t revision);
void meta_txn_put(struct meta_txn *t, struct bytes key, struct bytes value);
void meta_txn_delete(struct meta_txn *t, struct bytes key);
/* Like put; the key is `prefix` + a revision (8 bytes, big endian): how events get
 * their number. Several in one transaction get consecutive ones, and the last is
 * the revision of the transaction. */
void meta_txn_put_at_revision(struct meta_txn *t, struct bytes prefix, struct bytes value);
/* This transaction lets go of things: it may take the room kept for such. */
void meta_txn_use_reserve(struct meta_txn *t);
size_t meta_txn_ops(const struct meta_txn *t);
size_t meta_txn_room(const struct meta_txn *t); /* operations that still fit */
/* Commits and, whatever comes of it, empties the transaction. Lack of memory while
 * collecting shows here. ret_revision may be NULL. */
int meta_txn_commit(struct meta *m, struct meta_txn *t, uint64_t *ret_revision, struct err *err);

uint64_t meta_revision(struct meta *m);
int64_t meta_size(struct meta *m);
/* Of the options' counters[counter]. */
int meta_count(struct meta *m, size_t counter, int64_t *ret_count, struct err *err);

#endif

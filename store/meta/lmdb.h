/*
 * The LMDB back end: an environment that survives a failed write.
 *
 * A transaction that fails before LMDB writes its meta page leaves the environment
 * as it was. When the meta page itself cannot be written, LMDB refuses all further
 * transactions (MDB_PANIC): lmdb_env_reopen() then puts a new environment in place;
 * env_lock keeps it away from transactions that run.
 *
 * Disk full: room for the next transactions is allocated behind the end of the
 * file before a transaction is committed (fallocate, which keeps the file's size),
 * so that ENOSPC shows before LMDB has written anything, and so that transactions
 * that free space find room on a full disk. The lock file is allocated too:
 * it is written through a mapping, where a full disk would be a SIGBUS.
 */
#ifndef STORE_META_LMDB_H
#define STORE_META_LMDB_H

#include <lmdb.h>
#include <pthread.h>

#include "store/meta/txn.h"

struct lmdb {
	struct meta meta;
	pthread_rwlock_t env_lock; /* written only to replace env */
	MDB_env *env;
	MDB_dbi dbi;
	int dir_fd; /* of the environment's own directory */
	bool read_only;
	int64_t reserve;
	const struct meta_counter *counters;
	size_t n_counters;
	int64_t allocated; /* end of what is allocated; guarded by LMDB's writer lock */
	bool can_allocate; /* the same */
};

/* The back end's own key (the other one is of lmdb_counts.c): the revision counter, 8 bytes little endian. */
extern const uint8_t lmdb_revision_key[2];

int lmdb_fail(struct lmdb *m, int rc, struct err *err, const char *what);

int lmdb_env_open(struct lmdb *m, struct err *err);
void lmdb_env_close(struct lmdb *m);
/* Replaces an environment that LMDB has given up. */
int lmdb_env_reopen(struct lmdb *m, struct err *err);

/* In a write transaction: room for `bytes` more, and the reserve behind it. */
int lmdb_allocate(struct lmdb *m, int64_t bytes, struct err *err);

static inline uint64_t load_le64(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 7; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

static inline void store_le64(uint8_t *p, uint64_t v)
{
	for (int i = 0; i < 8; i++, v >>= 8)
		p[i] = (uint8_t)v;
}

static inline void store_be64(uint8_t *p, uint64_t v)
{
	for (int i = 7; i >= 0; i--, v >>= 8)
		p[i] = (uint8_t)v;
}

#endif

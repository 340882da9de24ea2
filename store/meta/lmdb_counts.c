#include "store/meta/lmdb_counts.h"

static const uint8_t counts_key[2] = { 0, 'c' }; /* the back end's own */

static size_t record_bytes(const struct lmdb *m)
{
	return 8 + 8 * m->n_counters;
}

static MDB_val val_of(struct bytes b)
{
	return (MDB_val){ b.len, (void *)b.data };
}

static bool begins(struct bytes b, struct bytes prefix)
{
	return b.len >= prefix.len && !memcmp(b.data, prefix.data, prefix.len);
}

/* The part of the key that names what it counts as. */
static struct bytes name_of(const struct meta_counter *c, struct bytes key)
{
	return (struct bytes){ key.data, c->name_bytes ? c->name_bytes(key) : key.len };
}

/* ---- walking ---- */

static int walk(struct lmdb *m, MDB_cursor *cursor, const struct meta_counter *c, int64_t *ret_n, struct err *err)
{
	MDB_val k = val_of(c->prefix), v;
	struct bytes last = { 0 };
	int rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);

	for (*ret_n = 0; !rc; rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) {
		struct bytes key = { k.mv_data, k.mv_size }, name;

		if (!begins(key, c->prefix))
			return OK;
		name = name_of(c, key);
		*ret_n += name.len && (name.len != last.len || !begins(name, last));
		last = name;
	}
	return rc == MDB_NOTFOUND ? OK : lmdb_fail(m, rc, err, "count");
}

static int walk_all(struct lmdb *m, MDB_txn *mdb, struct lmdb_counts *ret_counts, struct err *err)
{
	MDB_cursor *cursor;
	int r = OK, rc = mdb_cursor_open(mdb, m->dbi, &cursor);

	if (rc)
		return lmdb_fail(m, rc, err, "count");
	for (size_t i = 0; r == OK && i < m->n_counters; i++)
		r = walk(m, cursor, &m->counters[i], &ret_counts->n[i], err);
	mdb_cursor_close(cursor);
	return r;
}

/* ---- the record ---- */

int lmdb_counts_get(struct lmdb *m, MDB_txn *mdb, uint64_t revision, struct lmdb_counts *ret_counts, struct err *err)
{
	MDB_val k = { sizeof counts_key, (void *)counts_key }, v;
	const uint8_t *record;
	int rc = mdb_get(mdb, m->dbi, &k, &v);

	if (rc && rc != MDB_NOTFOUND)
		return lmdb_fail(m, rc, err, "count");
	if (rc || v.mv_size != record_bytes(m) || load_le64(v.mv_data) != revision)
		return walk_all(m, mdb, ret_counts, err);
	record = v.mv_data;
	for (size_t i = 0; i < m->n_counters; i++)
		ret_counts->n[i] = (int64_t)load_le64(record + 8 + 8 * i);
	return OK;
}

int lmdb_counts_put(struct lmdb *m, MDB_txn *mdb, uint64_t revision, const struct lmdb_counts *counts, struct err *err)
{
	MDB_val k = { sizeof counts_key, (void *)counts_key }, v = { record_bytes(m), NULL };
	int rc = mdb_put(mdb, m->dbi, &k, &v, MDB_RESERVE);
	uint8_t *record = v.mv_data;

	if (rc)
		return lmdb_fail(m, rc, err, "put");
	store_le64(record, revision);
	for (size_t i = 0; i < m->n_counters; i++)
		store_le64(record + 8 + 8 * i, (uint64_t)counts->n[i]);
	return OK;
}

/* ---- one change ---- */

static int is_there(struct lmdb *m, MDB_txn *mdb, struct bytes name, bool *ret_there, struct err *err)
{
	MDB_val k = val_of(name), v;
	MDB_cursor *cursor;
	int rc = mdb_cursor_open(mdb, m->dbi, &cursor);

	if (rc)
		return lmdb_fail(m, rc, err, "count");
	rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
	*ret_there = !rc && begins((struct bytes){ k.mv_data, k.mv_size }, name);
	mdb_cursor_close(cursor);
	return rc && rc != MDB_NOTFOUND ? lmdb_fail(m, rc, err, "count") : OK;
}

int lmdb_counts_before(struct lmdb *m, MDB_txn *mdb, struct bytes key, struct lmdb_counted *ret_counted,
		       struct err *err)
{
	size_t i = 0;

	*ret_counted = (struct lmdb_counted){ 0 };
	while (i < m->n_counters && !begins(key, m->counters[i].prefix))
		i++;
	if (i == m->n_counters)
		return OK;
	ret_counted->counter = i;
	ret_counted->name = name_of(&m->counters[i], key);
	return ret_counted->name.len ? is_there(m, mdb, ret_counted->name, &ret_counted->was_there, err) : OK;
}

int lmdb_counts_after(struct lmdb *m, MDB_txn *mdb, const struct lmdb_counted *counted, struct lmdb_counts *counts,
		      struct err *err)
{
	bool there = false;
	int r = counted->name.len ? is_there(m, mdb, counted->name, &there, err) : OK;

	if (r == OK)
		counts->n[counted->counter] += there - counted->was_there;
	return r;
}

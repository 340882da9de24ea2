#include "store/meta/lmdb_counts.h"

#include <assert.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { REVISION_BYTES = 8, PAGE_BYTES_PER_OP = 3 * 4096 };

static struct lmdb *lmdb_of(struct meta *m)
{
	return (struct lmdb *)m;
}

static MDB_val val_of(struct bytes b)
{
	return (MDB_val){ b.len, (void *)b.data };
}

static int begin_read(struct lmdb *m, MDB_txn **ret_txn, struct err *err)
{
	int rc = m->env ? mdb_txn_begin(m->env, NULL, MDB_RDONLY, ret_txn) : MDB_PANIC;

	return rc ? lmdb_fail(m, rc, err, "read") : OK;
}

/* A value as it lies in the database: revision, then the caller's bytes. */
static bool split(const MDB_val *stored, struct bytes *ret_value, uint64_t *ret_revision)
{
	if (stored->mv_size < REVISION_BYTES)
		return false;
	*ret_revision = load_le64(stored->mv_data);
	*ret_value = (struct bytes){ (const uint8_t *)stored->mv_data + REVISION_BYTES,
				     stored->mv_size - REVISION_BYTES };
	return true;
}

static int get_in(struct lmdb *m, MDB_txn *txn, struct bytes key, struct buf *out, uint64_t *ret_revision,
		  struct err *err)
{
	MDB_val k = val_of(key), v;
	int rc = mdb_get(txn, m->dbi, &k, &v);
	struct bytes value;
	uint64_t revision;

	if (rc == MDB_NOTFOUND)
		return fail(err, E_NOT_FOUND, "metadata: no such key");
	if (rc)
		return lmdb_fail(m, rc, err, "get");
	if (!split(&v, &value, &revision))
		return fail(err, E_CORRUPT, "metadata: a value without a revision");
	if (out && value.len > out->max)
		return fail(err, E_LIMIT, "metadata: a value of %zu bytes is larger than expected", value.len);
	if (out && !buf_append(out, value.data, value.len))
		return fail_nomem(err);
	if (ret_revision)
		*ret_revision = revision;
	return OK;
}

static int get(struct meta *meta, struct bytes key, struct buf *out, uint64_t *ret_revision, struct err *err)
{
	struct lmdb *m = lmdb_of(meta);
	MDB_txn *txn = NULL;
	int r;

	assert(key.len && key.len <= META_KEY_MAX);
	pthread_rwlock_rdlock(&m->env_lock);
	r = begin_read(m, &txn, err);
	if (r == OK) {
		r = get_in(m, txn, key, out, ret_revision, err);
		mdb_txn_abort(txn);
	}
	pthread_rwlock_unlock(&m->env_lock);
	return r;
}

static bool before(const MDB_val *key, struct bytes to)
{
	size_t shorter = key->mv_size < to.len ? key->mv_size : to.len;
	int order = memcmp(key->mv_data, to.data, shorter);

	return order < 0 || (!order && key->mv_size < to.len);
}

static int range_in(struct lmdb *m, MDB_cursor *cursor, struct bytes from, struct bytes to, meta_visit *visit,
		    void *arg, struct err *err)
{
	static const uint8_t first = 1; /* after the back end's own keys */
	MDB_val key = from.len ? val_of(from) : (MDB_val){ 1, (void *)&first }, stored;
	int rc = mdb_cursor_get(cursor, &key, &stored, MDB_SET_RANGE);

	for (; !rc && (!to.len || before(&key, to)); rc = mdb_cursor_get(cursor, &key, &stored, MDB_NEXT)) {
		struct bytes value;
		uint64_t revision;

		if (!split(&stored, &value, &revision))
			return fail(err, E_CORRUPT, "metadata: a value without a revision");
		if (!visit(arg, (struct bytes){ key.mv_data, key.mv_size }, value, revision))
			return OK;
	}
	return rc && rc != MDB_NOTFOUND ? lmdb_fail(m, rc, err, "range") : OK;
}

static int range(struct meta *meta, struct bytes from, struct bytes to, meta_visit *visit, void *arg, struct err *err)
{
	struct lmdb *m = lmdb_of(meta);
	MDB_cursor *cursor;
	MDB_txn *txn = NULL;
	int r, rc;

	assert(from.len <= META_KEY_MAX);
	pthread_rwlock_rdlock(&m->env_lock);
	r = begin_read(m, &txn, err);
	if (r == OK) {
		rc = mdb_cursor_open(txn, m->dbi, &cursor);
		if (rc) {
			r = lmdb_fail(m, rc, err, "range");
		} else {
			r = range_in(m, cursor, from, to, visit, arg, err);
			mdb_cursor_close(cursor);
		}
		mdb_txn_abort(txn);
	}
	pthread_rwlock_unlock(&m->env_lock);
	return r;
}

static int compare(struct lmdb *m, MDB_txn *mdb, const struct meta_txn *t, struct err *err)
{
	for (size_t i = 0; i < t->n_compares; i++) {
		uint64_t revision = 0;
		int r = get_in(m, mdb, meta_span(t, t->compares[i].key), NULL, &revision, err);

		if (r != OK && r != E_NOT_FOUND)
			return r;
		if (revision != t->compares[i].revision)
			return fail(err, E_ABORTED, "metadata changed meanwhile");
	}
	return OK;
}

static int put(struct lmdb *m, MDB_txn *mdb, struct bytes key, struct bytes value, uint64_t revision, struct err *err)
{
	MDB_val k = val_of(key), v = { REVISION_BYTES + value.len, NULL };
	int rc = mdb_put(mdb, m->dbi, &k, &v, MDB_RESERVE);

	if (rc)
		return lmdb_fail(m, rc, err, "put");
	store_le64(v.mv_data, revision);
	if (value.len)
		memcpy((uint8_t *)v.mv_data + REVISION_BYTES, value.data, value.len);
	return OK;
}

static int put_numbered(struct lmdb *m, MDB_txn *mdb, struct bytes prefix, struct bytes value, uint64_t number,
			uint64_t revision, struct err *err)
{
	uint8_t key[META_KEY_MAX];

	memcpy(key, prefix.data, prefix.len);
	store_be64(key + prefix.len, number);
	return put(m, mdb, (struct bytes){ key, prefix.len + 8 }, value, revision, err);
}

static int erase(struct lmdb *m, MDB_txn *mdb, struct bytes key, struct err *err)
{
	MDB_val k = val_of(key);
	int rc = mdb_del(mdb, m->dbi, &k, NULL);

	return rc && rc != MDB_NOTFOUND ? lmdb_fail(m, rc, err, "delete") : OK;
}

/* A change of one key, which may make something come or go that is counted. */
static int apply_counted(struct lmdb *m, MDB_txn *mdb, const struct meta_txn *t, const struct meta_op *op,
			 uint64_t revision, struct lmdb_counts *counts, struct err *err)
{
	struct bytes key = meta_span(t, op->key);
	struct lmdb_counted counted;
	int r = lmdb_counts_before(m, mdb, key, &counted, err);

	if (r == OK)
		r = op->kind == META_PUT ? put(m, mdb, key, meta_span(t, op->value), revision, err)
					 : erase(m, mdb, key, err);
	return r == OK ? lmdb_counts_after(m, mdb, &counted, counts, err) : r;
}

static int apply(struct lmdb *m, MDB_txn *mdb, const struct meta_txn *t, uint64_t first, uint64_t revision,
		 struct lmdb_counts *counts, struct err *err)
{
	uint64_t number = first;

	for (size_t i = 0; i < t->n_ops; i++) {
		const struct meta_op *op = &t->ops[i];
		int r = op->kind == META_PUT_AT_REVISION
				? put_numbered(m, mdb, meta_span(t, op->key), meta_span(t, op->value), number++,
					       revision, err)
				: apply_counted(m, mdb, t, op, revision, counts, err);

		if (r != OK)
			return r;
	}
	return OK;
}

static int put_revision(struct lmdb *m, MDB_txn *mdb, uint64_t revision, struct err *err)
{
	MDB_val k = { sizeof lmdb_revision_key, (void *)lmdb_revision_key }, v;
	uint8_t bytes[8];
	int rc;

	store_le64(bytes, revision);
	v = (MDB_val){ sizeof bytes, bytes };
	rc = mdb_put(mdb, m->dbi, &k, &v, 0);
	return rc ? lmdb_fail(m, rc, err, "put") : OK;
}

static int get_revision(struct lmdb *m, MDB_txn *mdb, uint64_t *ret_revision, struct err *err)
{
	MDB_val k = { sizeof lmdb_revision_key, (void *)lmdb_revision_key }, v;
	int rc = mdb_get(mdb, m->dbi, &k, &v);

	if (!rc && v.mv_size != 8)
		rc = MDB_CORRUPTED;
	if (rc && rc != MDB_NOTFOUND)
		return lmdb_fail(m, rc, err, "get");
	*ret_revision = rc ? 0 : load_le64(v.mv_data);
	return OK;
}

static int change(struct lmdb *m, MDB_txn *mdb, const struct meta_txn *t, uint64_t *ret_revision, struct err *err)
{
	struct lmdb_counts counts = { { 0 } };
	uint64_t old = 0;
	int r = compare(m, mdb, t, err);

	if (r == OK)
		r = get_revision(m, mdb, &old, err);
	*ret_revision = old;
	if (r != OK || !t->n_ops)
		return r;
	*ret_revision = old + (t->n_numbered ? t->n_numbered : 1);
	if (m->n_counters)
		r = lmdb_counts_get(m, mdb, old, &counts, err);
	if (r == OK && !t->use_reserve)
		r = lmdb_allocate(m, (int64_t)(t->bytes.len + t->n_ops * PAGE_BYTES_PER_OP), err);
	if (r == OK)
		r = apply(m, mdb, t, old + 1, *ret_revision, &counts, err);
	if (r == OK && m->n_counters)
		r = lmdb_counts_put(m, mdb, *ret_revision, &counts, err);
	return r == OK ? put_revision(m, mdb, *ret_revision, err) : r;
}

static int commit_in(struct lmdb *m, const struct meta_txn *t, uint64_t *ret_revision, struct err *err)
{
	MDB_txn *mdb = NULL;
	int rc = m->env ? mdb_txn_begin(m->env, NULL, 0, &mdb) : MDB_PANIC, r;

	if (rc)
		return lmdb_fail(m, rc, err, "begin");
	r = change(m, mdb, t, ret_revision, err);
	if (r != OK || !t->n_ops) {
		mdb_txn_abort(mdb);
		return r;
	}
	rc = mdb_txn_commit(mdb);
	if (rc)
		return lmdb_fail(m, rc, err, "commit");
	return OK;
}

static int commit(struct meta *meta, struct meta_txn *t, uint64_t *ret_revision, struct err *err)
{
	struct lmdb *m = lmdb_of(meta);
	int r;

	if (m->read_only)
		return fail(err, E_READ_ONLY, "the store is read-only");
	pthread_rwlock_rdlock(&m->env_lock);
	r = commit_in(m, t, ret_revision, err);
	pthread_rwlock_unlock(&m->env_lock);
	if (r != OK && r != E_ABORTED)
		lmdb_env_reopen(m, NULL); /* if it is no longer usable; the failure stays what it was */
	return r;
}

static uint64_t revision(struct meta *meta)
{
	struct lmdb *m = lmdb_of(meta);
	uint64_t found = 0;
	MDB_txn *txn = NULL;

	pthread_rwlock_rdlock(&m->env_lock);
	if (begin_read(m, &txn, NULL) == OK) {
		if (get_revision(m, txn, &found, NULL) != OK)
			found = 0;
		mdb_txn_abort(txn);
	}
	pthread_rwlock_unlock(&m->env_lock);
	return found;
}

static int64_t size(struct meta *meta)
{
	static const char *const files[] = { "data.mdb", "lock.mdb" };
	int64_t total = 0;
	struct stat st;

	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (!fstatat(lmdb_of(meta)->dir_fd, files[i], &st, AT_SYMLINK_NOFOLLOW))
			total += (int64_t)st.st_blocks * 512;
	return total;
}

static int count_in(struct lmdb *m, MDB_txn *mdb, struct lmdb_counts *ret_counts, struct err *err)
{
	uint64_t now = 0;
	int r = get_revision(m, mdb, &now, err);

	return r == OK ? lmdb_counts_get(m, mdb, now, ret_counts, err) : r;
}

static int count(struct meta *meta, size_t counter, int64_t *ret_count, struct err *err)
{
	struct lmdb *m = lmdb_of(meta);
	struct lmdb_counts counts = { { 0 } };
	MDB_txn *txn = NULL;
	int r;

	assert(counter < m->n_counters);
	pthread_rwlock_rdlock(&m->env_lock);
	r = begin_read(m, &txn, err);
	if (r == OK) {
		r = count_in(m, txn, &counts, err);
		mdb_txn_abort(txn);
	}
	pthread_rwlock_unlock(&m->env_lock);
	if (r == OK)
		*ret_count = counts.n[counter];
	return r;
}

static void close_lmdb(struct meta *meta)
{
	struct lmdb *m = lmdb_of(meta);

	lmdb_env_close(m);
	closep(&m->dir_fd);
	pthread_rwlock_destroy(&m->env_lock);
	free(m);
}

static const struct meta_ops lmdb_ops = { get, range, commit, revision, size, count, close_lmdb };

static int open_dir(struct lmdb *m, int parent_fd, const char *name, struct err *err)
{
	m->dir_fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return m->dir_fd < 0 ? fail_errno(err, "metadata: open directory '%s'", name) : OK;
}

/* What a start that was cut off has left. */
static int open_new_dir(struct lmdb *m, int parent_fd, const char *name, struct err *err)
{
	if (mkdirat(parent_fd, name, 0700) && errno != EEXIST)
		return fail_errno(err, "metadata: create directory '%s'", name);
	if (open_dir(m, parent_fd, name, err) != OK)
		return err ? err->code : E_IO;
	if ((unlinkat(m->dir_fd, "data.mdb", 0) && errno != ENOENT) ||
	    (unlinkat(m->dir_fd, "lock.mdb", 0) && errno != ENOENT))
		return fail_errno(err, "metadata: empty directory '%s'", name);
	return OK;
}

/* A new environment gets its name when it is durable: LMDB takes half of one for
 * damage. */
static int create_env(struct lmdb *m, int parent_fd, const char *name, struct err *err)
{
	enum { NAME_BYTES = 64 };
	char unfinished[NAME_BYTES];
	int r;

	snprintf(unfinished, sizeof unfinished, "%s.new", name);
	r = open_new_dir(m, parent_fd, unfinished, err);
	if (r == OK)
		r = lmdb_env_open(m, err);
	if (r != OK)
		return r;
	if (renameat(parent_fd, unfinished, parent_fd, name) || fsync(parent_fd))
		return fail_errno(err, "metadata: create directory '%s'", name);
	return OK;
}

static int open_env(struct lmdb *m, int parent_fd, const char *name, struct err *err)
{
	struct stat st;
	int r;

	if (!m->read_only && fstatat(parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) && errno == ENOENT)
		return create_env(m, parent_fd, name, err);
	r = open_dir(m, parent_fd, name, err);
	return r == OK ? lmdb_env_open(m, err) : r;
}

int meta_open_lmdb(int dir_fd, const char *name, const struct meta_lmdb_options *options, struct meta **ret_meta,
		   struct err *err)
{
	struct lmdb *m = malloc(sizeof *m);
	int r;

	assert(options->n_counters <= META_COUNTERS_MAX);
	if (!m)
		return fail_nomem(err);
	*m = (struct lmdb){
		.meta = { &lmdb_ops },
		.dir_fd = -1,
		.read_only = options->read_only,
		.reserve = options->reserve,
		.counters = options->counters,
		.n_counters = options->n_counters,
	};
	pthread_rwlock_init(&m->env_lock, NULL);
	r = open_env(m, dir_fd, name, err);
	if (r != OK) {
		close_lmdb(&m->meta);
		return r;
	}
	*ret_meta = &m->meta;
	return OK;
}

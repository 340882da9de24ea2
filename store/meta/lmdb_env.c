#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "store/meta/lmdb.h"

enum {
	READERS_MAX = 1000,
	LOCK_FILE_BYTES = 128 * 1024, /* more than READERS_MAX slots of 64 bytes and the header */
	ALLOCATE_STEP = 256 * 1024,
	PATH_BYTES = 64,
};

const uint8_t lmdb_revision_key[2] = { 0, 'r' };

static int64_t disk_free(int fd)
{
	struct statvfs v;

	return fstatvfs(fd, &v) ? 0 : (int64_t)v.f_bavail * (int64_t)v.f_frsize;
}

int lmdb_fail(struct lmdb *m, int rc, struct err *err, const char *what)
{
	int code;

	if (rc > 0) {
		errno = rc;
		code = fail_errno(err, "metadata: %s", what);
	} else {
		code = fail(err,
			    rc == MDB_MAP_FULL		 ? E_DISK_FULL
			    : rc == MDB_READERS_FULL	 ? E_BUSY
			    : rc == MDB_VERSION_MISMATCH ? E_FORMAT
			    : rc == MDB_PANIC		 ? E_IO
							 : E_CORRUPT,
			    "metadata: %s: %s", what, mdb_strerror(rc));
	}
	if (code == E_DISK_FULL && err) {
		err->free_bytes = disk_free(m->dir_fd);
		err->needed_bytes = m->reserve;
	}
	return code;
}

/* The size of the map is address space only. It shrinks where that is short (a
 * limit of the process, a small machine, valgrind). */
static int open_with_map(struct lmdb *m, MDB_env **ret_env, struct err *err)
{
	const size_t largest = (size_t)64 << 30, smallest = (size_t)1 << 30;
	char path[PATH_BYTES];
	int rc = MDB_PANIC;

	snprintf(path, sizeof path, "/proc/self/fd/%d", m->dir_fd);
	for (size_t size = largest; size >= smallest; size /= 4) {
		unsigned flags = MDB_NOTLS | MDB_NORDAHEAD | (m->read_only ? MDB_RDONLY | MDB_NOLOCK : 0);
		MDB_env *env = NULL;

		rc = mdb_env_create(&env);
		if (rc)
			break;
		mdb_env_set_mapsize(env, size);
		mdb_env_set_maxreaders(env, READERS_MAX);
		rc = mdb_env_open(env, path, flags, 0600);
		if (!rc) {
			*ret_env = env;
			return OK;
		}
		mdb_env_close(env);
		if (rc != ENOMEM && rc != EINVAL) /* valgrind says EINVAL */
			break;
	}
	return lmdb_fail(m, rc, err, "open");
}

static int open_database(struct lmdb *m, struct err *err)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(m->env, NULL, MDB_RDONLY, &txn);

	if (rc)
		return lmdb_fail(m, rc, err, "open");
	rc = mdb_dbi_open(txn, NULL, 0, &m->dbi);
	if (rc)
		mdb_txn_abort(txn);
	else
		rc = mdb_txn_commit(txn); /* keeps the handle of the database */
	return rc ? lmdb_fail(m, rc, err, "open") : OK;
}

static int allocate_lock_file(struct lmdb *m, struct err *err)
{
	CLEANUP(closep) int fd = openat(m->dir_fd, "lock.mdb", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int rc;

	if (fd < 0)
		return fail_errno(err, "metadata: create lock.mdb");
	rc = posix_fallocate(fd, 0, LOCK_FILE_BYTES);
	return rc ? lmdb_fail(m, rc, err, "allocate lock.mdb") : OK;
}

/* What mdb_env_open() has made is durable only after this. */
static int sync_new_files(struct lmdb *m, struct err *err)
{
	mdb_filehandle_t fd;

	if (mdb_env_get_fd(m->env, &fd) || fsync(fd) || fsync(m->dir_fd))
		return fail_errno(err, "metadata: sync new files");
	return OK;
}

static bool is_new(struct lmdb *m)
{
	struct stat st;

	return fstatat(m->dir_fd, "data.mdb", &st, AT_SYMLINK_NOFOLLOW) || !st.st_size;
}

int lmdb_env_open(struct lmdb *m, struct err *err)
{
	bool fresh = is_new(m);
	int r = m->read_only ? OK : allocate_lock_file(m, err);

	if (r == OK)
		r = open_with_map(m, &m->env, err);
	if (r != OK)
		return r;
	m->allocated = 0;
	m->can_allocate = !m->read_only;
	r = open_database(m, err);
	if (r == OK && fresh && !m->read_only)
		r = sync_new_files(m, err);
	/* A store that is there opens on a full disk too. */
	if (r == OK && lmdb_allocate(m, 0, err) != OK && fresh)
		r = err ? err->code : E_DISK_FULL;
	if (r != OK)
		lmdb_env_close(m);
	return r;
}

void lmdb_env_close(struct lmdb *m)
{
	if (m->env)
		mdb_env_close(m->env);
	m->env = NULL;
}

static bool has_panicked(struct lmdb *m)
{
	MDB_txn *txn;
	int rc = m->env ? mdb_txn_begin(m->env, NULL, MDB_RDONLY, &txn) : MDB_PANIC;

	if (!rc)
		mdb_txn_abort(txn);
	return rc == MDB_PANIC;
}

int lmdb_env_reopen(struct lmdb *m, struct err *err)
{
	int r = OK;

	pthread_rwlock_wrlock(&m->env_lock);
	if (has_panicked(m)) { /* and no other thread was faster */
		lmdb_env_close(m);
		r = lmdb_env_open(m, err);
	}
	pthread_rwlock_unlock(&m->env_lock);
	return r;
}

static int64_t used_bytes(struct lmdb *m)
{
	MDB_envinfo info;
	MDB_stat stat;

	if (mdb_env_info(m->env, &info) || mdb_env_stat(m->env, &stat))
		return 0;
	return (int64_t)(info.me_last_pgno + 1) * stat.ms_psize;
}

int lmdb_allocate(struct lmdb *m, int64_t bytes, struct err *err)
{
	int64_t used = used_bytes(m), want = used + m->reserve + bytes, from;
	mdb_filehandle_t fd;

	if (!m->can_allocate || want <= m->allocated)
		return OK;
	if (mdb_env_get_fd(m->env, &fd))
		return OK;
	from = m->allocated > used ? m->allocated : used;
	if (!fallocate(fd, FALLOC_FL_KEEP_SIZE, from, want + ALLOCATE_STEP - from)) {
		m->allocated = want + ALLOCATE_STEP;
		return OK;
	}
	if (errno == ENOSPC && !fallocate(fd, FALLOC_FL_KEEP_SIZE, from, want - from)) {
		m->allocated = want;
		return OK;
	}
	if (errno == ENOSPC || errno == EDQUOT)
		return lmdb_fail(m, errno, err, "allocate room");
	m->can_allocate = false; /* the file system cannot: LMDB will see ENOSPC itself */
	return OK;
}

#include "store/store.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/random.h>
#include <sys/statvfs.h>

#include "proto/runtime/clock.h"
#include "store/root.h"

enum {
	SHARED_RESERVE = 1024 * 1024,
	LOCAL_RESERVE = 256 * 1024,
	SCHEMA_TEXT_MAX = 16,
};

static const char schema_version[] = "1";

/* ---- open and close ------------------------------------------------------- */

static void read_boot_id(struct store *s)
{
	CLEANUP(closep) int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, s->boot_id, sizeof s->boot_id - 1);

	s->boot_id[n > 0 ? n : 0] = 0; /* "" never equals: prefixes are hashed again */
	s->boot_id[strcspn(s->boot_id, "\n")] = 0;
}

static int put_schema(struct meta *m, const struct key *k, struct err *err)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();

	if (!t)
		return fail_nomem(err);
	meta_txn_compare(t, key_bytes(k), 0);
	meta_txn_put(t, key_bytes(k), bytes_of(schema_version));
	return meta_txn_commit(m, t, NULL, err);
}

static int check_schema(struct store *s, struct meta *m, const char *space, struct err *err)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(SCHEMA_TEXT_MAX);
	struct key k = key_setting("schema");
	int r = meta_get(m, key_bytes(&k), &text, NULL, err);

	if (r == E_NOT_FOUND)
		return s->read_only ? OK : put_schema(m, &k, err);
	if (r != OK)
		return r;
	if (strcmp(buf_text(&text), schema_version))
		return fail(err, E_FORMAT, "root '%s': %s metadata has schema %s, and this imaged knows %s", s->root,
			    space, buf_text(&text), schema_version);
	return OK;
}

static int open_space(struct store *s, int meta_fd, const char *name, int64_t reserve, struct meta **ret_meta,
		      struct err *err)
{
	struct meta_lmdb_options options = {
		.read_only = s->read_only,
		.reserve = reserve,
		.counters = key_counters,
		.n_counters = ret_meta == &s->shared ? KEY_COUNTERS : 0, /* where they are */
	};
	int r = meta_open_lmdb(meta_fd, name, &options, ret_meta, err);

	if (r == OK)
		r = check_schema(s, *ret_meta, name, err);
	return r;
}

static int open_meta(struct store *s, struct err *err)
{
	CLEANUP(closep) int fd = -1;
	int r = root_open_dir(s, "meta", &fd, err);

	if (r == OK)
		r = open_space(s, fd, "shared", SHARED_RESERVE, &s->shared, err);
	if (r == OK)
		r = open_space(s, fd, "local", LOCAL_RESERVE, &s->local, err);
	/* Also when they are there: who made them may have been killed before it could sync. */
	if (r == OK && !s->read_only && (fsync(fd) || fsync(s->root_fd)))
		r = fail_errno(err, "root '%s': sync directories", s->root);
	return r;
}

static void init_locks(struct store *s)
{
	for (size_t i = 0; i < DIGEST_LOCKS; i++)
		pthread_mutex_init(&s->digest_locks[i], NULL);
	pthread_mutex_init(&s->ingests.mu, NULL);
	s->ingests.serial = (uint64_t)clock_wall_ns() / 1000; /* none of a process before */
	cond_init_monotonic(&s->ingests.committed);
	pthread_mutex_init(&s->events.mu, NULL);
	pthread_mutex_init(&s->used.mu, NULL);
	cond_init_monotonic(&s->events.grown);
}

static void init_shards(struct store *s)
{
	for (size_t a = 0; a < ARRAY_LEN(s->shards); a++)
		for (size_t i = 0; i < ARRAY_LEN(s->shards[a]); i++)
			atomic_init(&s->shards[a][i].changed, 1); /* of 0 synced */
}

int store_open(const char *root, struct store **ret_store, struct err *err)
{
	CLEANUP(store_closep) struct store *s = malloc(sizeof *s);
	int r;

	if (!s)
		return fail_nomem(err);
	*s = (struct store){
		.root_fd = -1,
		.lock_fd = -1,
		.content_fd = -1,
		.ingest_fd = -1,
		.quarantine_fd = -1,
		.layers_fd = -1,
		.contexts_fd = -1,
		.builds_fd = -1,
		.caches_fd = -1,
		.logs_fd = -1,
	};
	init_locks(s);
	init_shards(s);
	s->root = strdup(root);
	if (!s->root)
		return fail_nomem(err);
	if (getrandom(s->run, sizeof s->run, 0) != sizeof s->run)
		return fail_errno(err, "random number of this run");
	read_boot_id(s);
	r = root_open(s, err);
	if (r == OK)
		r = open_meta(s, err);
	if (r != OK)
		return r;
	*ret_store = TAKE(s);
	return OK;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	meta_close(s->local);
	meta_close(s->shared);
	root_close(s);
	for (size_t i = 0; i < DIGEST_LOCKS; i++)
		pthread_mutex_destroy(&s->digest_locks[i]);
	pthread_mutex_destroy(&s->ingests.mu);
	pthread_cond_destroy(&s->ingests.committed);
	pthread_mutex_destroy(&s->events.mu);
	pthread_mutex_destroy(&s->used.mu);
	pthread_cond_destroy(&s->events.grown);
	free(s->root);
	free(s);
}

void store_closep(struct store **s)
{
	store_close(*s);
}

const char *store_root(const struct store *s)
{
	return s->root;
}

bool store_read_only(const struct store *s)
{
	return s->read_only;
}

struct meta *store_shared(struct store *s)
{
	return s->shared;
}

struct meta *store_local(struct store *s)
{
	return s->local;
}

/* ---- disk ----------------------------------------------------------------- */

int store_disk(struct store *s, int64_t *ret_total, int64_t *ret_free, struct err *err)
{
	struct statvfs v;

	if (fstatvfs(s->root_fd, &v))
		return fail_errno(err, "root '%s': size of the file system", s->root);
	*ret_total = (int64_t)v.f_blocks * (int64_t)v.f_frsize;
	*ret_free = (int64_t)v.f_bavail * (int64_t)v.f_frsize;
	return OK;
}

int store_reserve(struct store *s, int64_t bytes, struct err *err)
{
	const int64_t most = 64 << 20, share = 64;
	int64_t total = 0, available = 0, keep;
	int r = store_disk(s, &total, &available, err);

	if (r != OK)
		return r;
	keep = total / share < most ? total / share : most;
	if (available >= keep && bytes <= available - keep)
		return OK;
	r = fail(err, E_DISK_FULL, "root '%s': %lld bytes are needed and %lld are free", s->root, (long long)bytes,
		 (long long)available);
	if (err) {
		err->needed_bytes = bytes;
		err->free_bytes = available;
	}
	return r;
}

int store_fail_errno(struct store *s, int64_t needed, struct err *err, const char *fmt, ...)
{
	CLEANUP(freep) char *text = NULL;
	int64_t total = 0, available = 0;
	int number = errno, r;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	errno = number;
	r = fail_errno(err, "%s", text ? text : "store");
	if (r == E_DISK_FULL && err && store_disk(s, &total, &available, NULL) == OK) {
		err->needed_bytes = needed;
		err->free_bytes = available;
	}
	errno = number;
	return r;
}

bool dir_next(DIR *dir, struct dirent **ret_entry)
{
	errno = 0;
	*ret_entry = readdir(dir);
	return *ret_entry || !errno;
}

int visit_failed(struct err *err, int r, const char *text)
{
	return err && err->code == r ? r : fail(err, r, "%s", text);
}

int store_writable(const struct store *s, struct err *err)
{
	return s->read_only ? fail(err, E_READ_ONLY, "root '%s' is read-only", s->root) : OK;
}

/* ---- one digest at a time ------------------------------------------------- */

static pthread_mutex_t *lock_of(struct store *s, const struct digest *d)
{
	return &s->digest_locks[d->bytes[0] % DIGEST_LOCKS];
}

void digest_lock(struct store *s, const struct digest *d)
{
	pthread_mutex_lock(lock_of(s, d));
}

void digest_unlock(struct store *s, const struct digest *d)
{
	pthread_mutex_unlock(lock_of(s, d));
}

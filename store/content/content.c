#include "store/content/content.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "store/content/blob.h"
#include "store/content/ingest_state.h"
#include "store/content/path.h"
#include "store/used.h"

enum { VERIFY_BYTES = 256 * 1024 };

static int fail_missing(const struct digest *d, struct err *err)
{
	char text[DIGEST_TEXT_MAX];

	return fail(err, E_NOT_FOUND, "content %s is not in the store", digest_text(d, text));
}

static int fail_blob(const struct digest *d, struct err *err, const char *what)
{
	char text[DIGEST_TEXT_MAX];

	return fail_errno(err, "%s content %s", what, digest_text(d, text));
}

bool content_exists(struct store *s, const struct digest *d, int64_t *ret_size)
{
	char path[CONTENT_PATH_MAX];
	struct stat st;

	if (fstatat(s->content_fd, content_path(d, path), &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
		return false;
	if (ret_size)
		*ret_size = st.st_size;
	return true;
}

int content_open(struct store *s, const struct digest *d, int *ret_fd, int64_t *ret_size, struct err *err)
{
	char path[CONTENT_PATH_MAX];
	CLEANUP(closep) int fd = openat(s->content_fd, content_path(d, path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? fail_missing(d, err) : fail_blob(d, err, "open");
	if (fstat(fd, &st))
		return fail_blob(d, err, "look at");
	if (!S_ISREG(st.st_mode)) {
		char text[DIGEST_TEXT_MAX];

		return fail(err, E_CORRUPT, "content %s is no regular file", digest_text(d, text));
	}
	if (ret_size)
		*ret_size = st.st_size;
	*ret_fd = take_fd(&fd);
	return OK;
}

static int fail_damaged(const struct digest *d, struct err *err)
{
	char text[DIGEST_TEXT_MAX];

	return fail(err, E_CORRUPT, "content %s is damaged: its bytes have another digest", digest_text(d, text));
}

static ssize_t read_some(int fd, void *buf, size_t len)
{
	ssize_t n;

	do
		n = read(fd, buf, len);
	while (n < 0 && errno == EINTR);
	return n;
}

static int read_whole(int fd, const struct digest *d, size_t size, struct buf *out, struct err *err)
{
	uint8_t *room = buf_reserve(out, size);
	size_t have = 0;

	if (!room)
		return fail_nomem(err);
	while (have < size) {
		ssize_t n = read_some(fd, room + have, size - have);

		if (n < 0)
			return fail_blob(d, err, "read");
		if (!n)
			break;
		have += (size_t)n;
	}
	out->len += have;
	room[have] = 0; /* buf_reserve() keeps room for it */
	return OK;
}

int content_read(struct store *s, const struct digest *d, struct buf *out, struct err *err)
{
	CLEANUP(closep) int fd = -1;
	struct digest got;
	int64_t size = 0;
	int r = content_open(s, d, &fd, &size, err);

	if (r != OK)
		return r;
	buf_reset(out);
	if ((uint64_t)size > out->max) {
		char text[DIGEST_TEXT_MAX];

		return fail(err, E_LIMIT, "content %s has %lld bytes, more than the %zu that are allowed here",
			    digest_text(d, text), (long long)size, out->max);
	}
	r = read_whole(fd, d, (size_t)size, out, err);
	if (r != OK)
		return r;
	digest_of((enum digest_algorithm)d->algorithm, buf_bytes(out), &got);
	return digest_eq(&got, d) ? OK : fail_damaged(d, err);
}

int content_verify(struct store *s, const struct digest *d, void (*progress)(void *arg, size_t bytes), void *arg,
		   struct cancel *cancel, struct err *err)
{
	CLEANUP(freep) uint8_t *block = malloc(VERIFY_BYTES);
	CLEANUP(closep) int fd = -1;
	struct hasher h;
	struct digest got;
	ssize_t n;
	int r = block ? content_open(s, d, &fd, NULL, err) : fail_nomem(err);

	if (r != OK)
		return r;
	hasher_init(&h, (enum digest_algorithm)d->algorithm);
	while ((n = read_some(fd, block, VERIFY_BYTES)) > 0) {
		r = cancel_check(cancel, err);
		if (r != OK)
			return r;
		hasher_update(&h, block, (size_t)n);
		if (progress)
			progress(arg, (size_t)n);
	}
	/* A sector that cannot be read is damage as well. */
	if (n < 0 && errno != EIO)
		return fail_blob(d, err, "read");
	got = hasher_final(&h);
	return n == 0 && digest_eq(&got, d) ? OK : fail_damaged(d, err);
}

/* ---- list ----------------------------------------------------------------- */

struct listing {
	struct store *s;
	const char *algorithm;
	bool (*visit)(void *arg, const struct digest *d, int64_t size);
	void *arg;
	bool stopped;
};

static bool visit_file(struct listing *l, int dir_fd, const char *name)
{
	char text[DIGEST_TEXT_MAX];
	struct digest d;
	struct stat st;

	if ((size_t)snprintf(text, sizeof text, "%s:%s", l->algorithm, name) >= sizeof text ||
	    digest_parse(text, &d, NULL) != OK)
		return true;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW)) {
		if (errno == ENOENT)
			return true;
		st.st_size = 0; /* it is there all the same: whoever opens it will hear why */
	}
	return l->visit(l->arg, &d, st.st_size);
}

typedef int each_entry(struct listing *l, int dir_fd, const char *name, struct err *err);

static int each(struct listing *l, int parent_fd, const char *path, each_entry *fn, struct err *err)
{
	int fd = openat(parent_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), r = OK;
	DIR *dir;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return OK; /* none of this kind yet */
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		closep(&fd);
		return fail_errno(err, "list content");
	}
	while (r == OK && !l->stopped) {
		struct dirent *e;

		if (!dir_next(dir, &e))
			r = fail_errno(err, "list content directory '%s'", path);
		else if (!e)
			break;
		else if (e->d_name[0] != '.')
			r = fn(l, dirfd(dir), e->d_name, err);
	}
	closedir(dir);
	return r;
}

static int each_file(struct listing *l, int dir_fd, const char *name, UNUSED struct err *err)
{
	l->stopped = !visit_file(l, dir_fd, name);
	return OK;
}

static int each_shard(struct listing *l, int dir_fd, const char *name, struct err *err)
{
	return each(l, dir_fd, name, each_file, err);
}

int content_list(struct store *s, bool (*visit)(void *arg, const struct digest *d, int64_t size), void *arg,
		 struct err *err)
{
	struct listing l = { .s = s, .visit = visit, .arg = arg };
	int r = OK;

	for (int a = DIGEST_SHA256; r == OK && a <= DIGEST_SHA512; a++) {
		l.algorithm = digest_algorithm_name((enum digest_algorithm)a);
		r = each(&l, s->content_fd, l.algorithm, each_shard, err);
	}
	return r;
}

/* ---- remove --------------------------------------------------------------- */

int content_quarantine(struct store *s, const struct digest *d, struct err *err)
{
	char path[CONTENT_PATH_MAX], name[CONTENT_PATH_MAX];
	int r = store_writable(s, err);
	int64_t size = 0;

	if (r != OK)
		return r;
	digest_lock(s, d);
	content_exists(s, d, &size);
	if (renameat(s->content_fd, content_path(d, path), s->quarantine_fd, quarantine_name(d, name)))
		r = errno == ENOENT ? fail_missing(d, err) : fail_blob(d, err, "quarantine");
	else
		used_add(s, -size, -1);
	digest_unlock(s, d);
	return r;
}

static int restore_locked(struct store *s, const struct digest *d, const struct ingest *own, struct err *err)
{
	char path[CONTENT_PATH_MAX], name[CONTENT_PATH_MAX], text[DIGEST_TEXT_MAX];
	int64_t size = 0;

	/* One that comes after this waits for the lock, and then finds the blob. */
	if (ingest_is_open(s, d, own))
		return fail(err, E_BUSY, "content %s is being fetched by another operation", digest_text(d, text));
	/* Not rename(): it would replace. */
	if (linkat(s->quarantine_fd, quarantine_name(d, name), s->content_fd, content_path(d, path), 0))
		return errno == EEXIST	 ? fail(err, E_EXISTS, "content %s is in the store", digest_text(d, text))
		       : errno == ENOENT ? fail_missing(d, err)
					 : fail_blob(d, err, "restore");
	content_exists(s, d, &size);
	used_add(s, size, 1);
	unlinkat(s->quarantine_fd, name, 0); /* a second name: the next check takes it away */
	return OK;
}

int content_restore(struct store *s, const struct digest *d, const struct ingest *own, struct err *err)
{
	int r = store_writable(s, err);

	if (r != OK)
		return r;
	digest_lock(s, d);
	r = restore_locked(s, d, own, err);
	digest_unlock(s, d);
	return r;
}

static int clear_one(struct store *s, const char *name, bool (*keep)(struct store *s, const struct digest *d),
		     struct err *err)
{
	struct digest d;
	bool known = quarantine_parse_name(name, &d), kept;
	int r = OK;

	if (known)
		digest_lock(s, &d); /* nobody puts it aside or back meanwhile */
	kept = known && keep(s, &d);
	if (!kept && unlinkat(s->quarantine_fd, name, 0) && errno != ENOENT)
		r = fail_errno(err, "remove '%s' from the quarantine", name);
	if (known)
		digest_unlock(s, &d);
	return r;
}

int quarantine_clear(struct store *s, bool (*keep)(struct store *s, const struct digest *d), struct err *err)
{
	int fd = openat(s->quarantine_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = OK;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		closep(&fd);
		return fail_errno(err, "list the quarantine");
	}
	while (r == OK) {
		struct dirent *e;

		if (!dir_next(dir, &e))
			r = fail_errno(err, "list the quarantine");
		else if (!e)
			break;
		else if (e->d_name[0] != '.')
			r = clear_one(s, e->d_name, keep, err);
	}
	closedir(dir);
	return r;
}

int blob_unlink(struct store *s, const struct digest *d, int64_t *ret_size, struct err *err)
{
	char path[CONTENT_PATH_MAX];
	int64_t size = 0;

	if (!content_exists(s, d, &size))
		return fail_missing(d, err);
	if (unlinkat(s->content_fd, content_path(d, path), 0))
		return fail_blob(d, err, "remove");
	used_add(s, -size, -1);
	*ret_size = size;
	return OK;
}

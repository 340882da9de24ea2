#include "service/build/run/worker/copy_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "proto/runtime/buf.h"
#include "service/build/diff/entry.h"
#include "service/build/diff/links.h"

enum { PIECE = 64 << 10, PROC_PATH_MAX = 32 + NAME_MAX, PATH_BYTES_MAX = 1 << 20 };

struct level {
	DIR *from;
	int to;
	struct stat st;
	size_t path_len; /* of what is in it */
};

struct copy {
	struct level level[COPY_TREE_DEPTH_MAX];
	size_t depth;
	int top;	 /* the uppermost `to` */
	struct buf path; /* of the entry, without a slash in front */
	struct links links;
	struct entry_xattrs xattrs;
};

static int fail_entry(const struct copy *c, const char *what, struct err *err)
{
	return fail_errno(err, "%s '/%.*s'", what, (int)min_size(c->path.len, 512), buf_text(&c->path));
}

/* ---- bytes -------------------------------------------------------------------------- */

static int write_all(int to, struct bytes piece, struct err *err)
{
	while (piece.len) {
		ssize_t n = write(to, piece.data, piece.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "write the copy of a file");
		piece = (struct bytes){ piece.data + n, piece.len - (size_t)n };
	}
	return OK;
}

int copy_file_bytes(int from, int to, struct err *err)
{
	uint8_t piece[PIECE];

	for (;;) {
		ssize_t n = read(from, piece, sizeof piece);
		int rc;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? fail_errno(err, "read a file that is copied") : OK;
		rc = write_all(to, (struct bytes){ piece, (size_t)n }, err);
		if (rc != OK)
			return rc;
	}
}

/* ---- attributes ----------------------------------------------------------------------- */

static int set_xattrs(struct copy *c, int from, int to, const char *name, struct err *err)
{
	char path[PROC_PATH_MAX];
	int rc = entry_read_xattrs(from, name, &c->xattrs, err);

	snprintf(path, sizeof path, "/proc/self/fd/%d/%s", to, name);
	for (size_t i = 0; rc == OK && i < c->xattrs.n; i++) {
		const struct tar_put_xattr *x = &c->xattrs.all[i];

		if (lsetxattr(path, x->name, x->value.data, x->value.len, 0) < 0)
			rc = fail_entry(c, "set an xattr of", err);
	}
	return rc;
}

static int set_owner(const struct copy *c, int to, const char *name, const struct stat *st, struct err *err)
{
	if (!fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW))
		return OK;
	if (errno != EINVAL)
		return fail_entry(c, "set the owner of", err);
	return fail(err, E_UNSUPPORTED,
		    "'/%.*s' cannot belong to %u:%u: the user namespace of this daemon has no such id",
		    (int)min_size(c->path.len, 512), buf_text(&c->path), st->st_uid, st->st_gid);
}

/* A new owner takes set-id bits and capabilities away: it comes first. */
static int set_attributes(struct copy *c, int from, int to, const char *name, const struct stat *st, struct err *err)
{
	const struct timespec times[] = { st->st_atim, st->st_mtim };
	int rc = set_owner(c, to, name, st, err);

	if (rc == OK && !S_ISLNK(st->st_mode) && fchmodat(to, name, st->st_mode & 07777, 0) < 0)
		return fail_entry(c, "set the mode of", err);
	if (rc == OK)
		rc = set_xattrs(c, from, to, name, err);
	if (rc == OK && utimensat(to, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_entry(c, "set the time of", err);
	return rc;
}

/* ---- entries -------------------------------------------------------------------------------- */

static int copy_regular(struct copy *c, int from, int to, const char *name, struct err *err)
{
	CLEANUP(closep) int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	CLEANUP(closep) int out = in < 0 ? -1 : openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (out < 0)
		return fail_entry(c, "copy", err);
	return copy_file_bytes(in, out, err);
}

static int copy_link(struct copy *c, int from, int to, const char *name, struct err *err)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(from, name, target, sizeof target - 1);

	if (n < 0)
		return fail_entry(c, "read the link", err);
	target[n] = 0;
	return symlinkat(target, to, name) < 0 ? fail_entry(c, "make the link", err) : OK;
}

static int make_node(struct copy *c, int to, const char *name, const struct stat *st, struct err *err)
{
	if (!mknodat(to, name, (st->st_mode & S_IFMT) | 0600, st->st_rdev))
		return OK;
	if (errno != EPERM)
		return fail_entry(c, "make the device", err);
	return fail(err, E_UNSUPPORTED, "'/%.*s' is a device, which cannot be made without root",
		    (int)min_size(c->path.len, 512), buf_text(&c->path));
}

/* Another name of a file that was copied already, whose path the kernel still takes in one piece. */
static int copy_hard_link(struct copy *c, int to, const char *name, const struct stat *st, bool *ret_done,
			  struct err *err)
{
	const char *first = NULL;
	int rc;

	*ret_done = false;
	if (st->st_nlink < 2 || c->path.len >= PATH_MAX)
		return OK;
	rc = links_find_or_add(&c->links, st, buf_bytes(&c->path), &first, err);
	if (rc != OK || !first)
		return rc;
	*ret_done = true;
	return linkat(c->top, first, to, name, 0) < 0 ? fail_entry(c, "link", err) : OK;
}

static int copy_leaf(struct copy *c, const char *name, const struct stat *st, struct err *err)
{
	struct level *l = &c->level[c->depth - 1];
	int from = dirfd(l->from), rc;
	bool done;

	if (S_ISSOCK(st->st_mode))
		return OK;
	rc = copy_hard_link(c, l->to, name, st, &done, err);
	if (rc != OK || done)
		return rc;
	if (S_ISREG(st->st_mode))
		rc = copy_regular(c, from, l->to, name, err);
	else if (S_ISLNK(st->st_mode))
		rc = copy_link(c, from, l->to, name, err);
	else
		rc = make_node(c, l->to, name, st, err);
	return rc == OK ? set_attributes(c, from, l->to, name, st, err) : rc;
}

/* ---- directories ------------------------------------------------------------------------------ */

/* Both descriptors become the level's, or are closed. */
static int enter(struct copy *c, int from, int to, const struct stat *st, struct err *err)
{
	DIR *dir = c->depth == COPY_TREE_DEPTH_MAX || from < 0 || to < 0 ? NULL : fdopendir(from);

	if (!dir) {
		int rc = c->depth == COPY_TREE_DEPTH_MAX
				 ? fail(err, E_LIMIT, "more than %d directories within each other", COPY_TREE_DEPTH_MAX)
				 : fail_entry(c, "open", err);

		closep(&from);
		closep(&to);
		return rc;
	}
	c->level[c->depth++] = (struct level){ dir, to, *st, c->path.len };
	return OK;
}

static int enter_directory(struct copy *c, const char *name, const struct stat *st, struct err *err)
{
	static const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	struct level *l = &c->level[c->depth - 1];

	if (mkdirat(l->to, name, 0700) < 0)
		return fail_entry(c, "make", err);
	if (!buf_append(&c->path, "/", 1))
		return fail_nomem(err);
	return enter(c, openat(dirfd(l->from), name, flags), openat(l->to, name, flags), st, err);
}

static int leave(struct copy *c, struct err *err)
{
	struct level *l = &c->level[c->depth - 1];

	c->path.len = l->path_len;
	return set_attributes(c, dirfd(l->from), l->to, ".", &l->st, err);
}

static void drop(struct copy *c)
{
	struct level *l = &c->level[--c->depth];

	closedir(l->from);
	close(l->to);
}

static int copy_entry(struct copy *c, const char *name, struct err *err)
{
	struct level *l = &c->level[c->depth - 1];
	struct stat st;

	c->path.len = l->path_len;
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return OK;
	if (!buf_append(&c->path, name, strlen(name)))
		return fail_nomem(err);
	if (fstatat(dirfd(l->from), name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_entry(c, "look at", err);
	return S_ISDIR(st.st_mode) ? enter_directory(c, name, &st, err) : copy_leaf(c, name, &st, err);
}

/* The next entry of the innermost directory, or its end. */
static int step(struct copy *c, struct err *err)
{
	struct dirent *e;
	int rc;

	errno = 0;
	e = readdir(c->level[c->depth - 1].from);
	if (e)
		return copy_entry(c, e->d_name, err);
	if (errno)
		return fail_entry(c, "read", err);
	rc = leave(c, err);
	drop(c);
	return rc;
}

static int copy_all(struct copy *c, int from, int to, const struct stat *st, struct err *err)
{
	static const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	int rc;

	c->top = to;
	c->path = (struct buf)BUF_INIT(PATH_BYTES_MAX);
	rc = enter(c, openat(from, ".", flags), openat(to, ".", flags), st, err);
	while (rc == OK && c->depth)
		rc = step(c, err);
	while (c->depth)
		drop(c);
	links_free(&c->links);
	buf_free(&c->path);
	return rc;
}

int copy_tree(int from, int to, struct err *err)
{
	struct copy *c;
	struct stat st;
	int rc;

	if (fstat(from, &st) < 0)
		return fail_errno(err, "look at a directory that is copied");
	if (!S_ISDIR(st.st_mode))
		return fail(err, E_INVALID, "what it begins with is no directory");
	c = calloc(1, sizeof *c);
	if (!c)
		return fail_nomem(err);
	rc = copy_all(c, from, to, &st, err);
	free(c);
	return rc;
}

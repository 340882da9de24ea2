#include "store/cache/cache_dir.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "proto/runtime/mem.h"
#include "store/internal.h"

enum { DEPTH_MAX = 512, STAT_BLOCK = 512 };

static bool is_dots(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

/* Any descriptor of a directory, O_PATH as well. */
static DIR *open_dir(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir)
		closep(&fd);
	return dir;
}

/* ---- away ------------------------------------------------------------------------------------ */

/*
 * A tree of any depth is made flat: what is no directory goes, and a directory inside of
 * one moves up to the top, until each is empty.
 */
struct flattening {
	int top;
	uint64_t moved; /* so many have: for their names */
};

static int move_up(struct flattening *f, int at, const char *name)
{
	char up[64];
	int rc;

	/* Without the right to write in it we could not move it, where we are not root. It is no
	 * link: unlinkat() has said what it is. */
	if (fchmodat(at, name, 0700, 0))
		return -1;
	do {
		snprintf(up, sizeof up, ".imaged-gone-%llu", (unsigned long long)f->moved++);
		rc = renameat2(at, name, f->top, up, RENAME_NOREPLACE);
	} while (rc && errno == EEXIST);
	return rc;
}

/* Of a directory of the top. */
static int empty_inner(struct flattening *f, DIR *dir, struct err *err)
{
	struct dirent *e;

	while (dir_next(dir, &e)) {
		if (!e)
			return OK;
		if (is_dots(e->d_name) || !unlinkat(dirfd(dir), e->d_name, 0))
			continue;
		if (errno != EISDIR || move_up(f, dirfd(dir), e->d_name))
			return fail_errno(err, "remove '%s' of a cache mount", e->d_name);
	}
	return fail_errno(err, "read a directory of a cache mount");
}

static int remove_inner(struct flattening *f, const char *name, struct err *err)
{
	DIR *dir;
	int r;

	if (!unlinkat(f->top, name, AT_REMOVEDIR))
		return OK;
	if ((errno != ENOTEMPTY && errno != EEXIST) || fchmodat(f->top, name, 0700, 0))
		return fail_errno(err, "remove '%s' of a cache mount", name);
	dir = open_dir(f->top, name);
	if (!dir)
		return fail_errno(err, "open '%s' of a cache mount", name);
	r = empty_inner(f, dir, err);
	closedir(dir);
	if (r == OK && unlinkat(f->top, name, AT_REMOVEDIR))
		return fail_errno(err, "remove '%s' of a cache mount", name);
	return r;
}

/* *ret_any: there was something. */
static int empty_top(struct flattening *f, bool *ret_any, struct err *err)
{
	DIR *dir = open_dir(f->top, ".");
	struct dirent *e = NULL;
	int r = dir ? OK : fail_errno(err, "open a cache mount");

	*ret_any = false;
	while (r == OK) {
		if (!dir_next(dir, &e))
			r = fail_errno(err, "read a cache mount");
		if (!e || r != OK)
			break;
		if (is_dots(e->d_name))
			continue;
		*ret_any = true;
		if (unlinkat(f->top, e->d_name, 0))
			r = errno == EISDIR || errno == EPERM
				    ? remove_inner(f, e->d_name, err)
				    : fail_errno(err, "remove '%s' of a cache mount", e->d_name);
	}
	if (dir)
		closedir(dir);
	return r;
}

int cache_dir_empty(int dir, struct err *err)
{
	struct flattening f = { .top = dir };
	bool any = true;
	int r = OK;

	while (r == OK && any)
		r = empty_top(&f, &any, err);
	return r;
}

int cache_dir_remove(int at, const char *name, struct err *err)
{
	CLEANUP(closep) int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	int r;

	if (fd < 0 && errno == EACCES && !fchmodat(at, name, 0700, 0))
		fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? OK : fail_errno(err, "open cache mount '%s'", name);
	fchmod(fd, 0700);
	r = cache_dir_empty(fd, err);
	if (r == OK && unlinkat(at, name, AT_REMOVEDIR) && errno != ENOENT)
		return fail_errno(err, "remove cache mount '%s'", name);
	return r;
}

/* ---- how large ---------------------------------------------------------------------------------- */

struct walk {
	DIR *dirs[DEPTH_MAX];
	size_t depth;
	int64_t bytes;
};

static void enter(struct walk *w, int at, const char *name)
{
	DIR *dir = w->depth < DEPTH_MAX ? open_dir(at, name) : NULL;

	if (dir)
		w->dirs[w->depth++] = dir;
}

static void count(struct walk *w, const struct stat *st)
{
	int64_t links = !S_ISDIR(st->st_mode) && st->st_nlink > 1 ? (int64_t)st->st_nlink : 1;

	w->bytes += (int64_t)st->st_blocks * STAT_BLOCK / links;
}

/* One name; what goes meanwhile is not counted. */
static void step(struct walk *w)
{
	DIR *dir = w->dirs[w->depth - 1];
	struct dirent *e;
	struct stat st;

	if (!dir_next(dir, &e) || !e) {
		closedir(dir);
		w->depth--;
		return;
	}
	if (is_dots(e->d_name) || fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW))
		return;
	count(w, &st);
	if (S_ISDIR(st.st_mode))
		enter(w, dirfd(dir), e->d_name);
}

int cache_dir_size(int at, const char *name, struct cancel *cancel, int64_t *ret_bytes, struct err *err)
{
	CLEANUP(freep) struct walk *w = calloc(1, sizeof *w);
	int r = OK;

	if (!w)
		return fail_nomem(err);
	enter(w, at, name);
	while (w->depth && r == OK) {
		step(w);
		r = cancel_check(cancel, err);
	}
	while (w->depth)
		closedir(w->dirs[--w->depth]);
	if (r == OK)
		*ret_bytes = w->bytes;
	return r;
}

#include "service/build/diff/entry.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/xattr.h>

enum { PIECE = 64 << 10, PROC_PATH_MAX = 32 + NAME_MAX };

/* ---- xattrs -------------------------------------------------------------------------- */

/* By way of /proc, as there is no *at() of these calls; the last name is not followed. */
static void proc_path(int dir, const char *name, char out[PROC_PATH_MAX])
{
	snprintf(out, PROC_PATH_MAX, "/proc/self/fd/%d/%s", dir, name);
}

static bool begins_with(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

static bool is_kept(const char *name)
{
	return !strcmp(name, "security.capability") ||
	       (begins_with(name, "user.") && !begins_with(name, "user.overlay."));
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct tar_put_xattr *)a)->name, ((const struct tar_put_xattr *)b)->name);
}

static int read_value(const char *path, const char *name, struct entry_xattrs *x, size_t *used, struct err *err)
{
	ssize_t n = lgetxattr(path, name, x->values + *used, sizeof x->values - *used);

	if (n < 0 && errno != ERANGE)
		return fail_errno(err, "read the xattr '%s' of '%s'", name, strrchr(path, '/') + 1);
	if (n < 0 || x->n == ENTRY_XATTRS_MAX)
		return fail(err, E_LIMIT, "'%s' has more xattrs than a layer can have", strrchr(path, '/') + 1);
	x->all[x->n++] = (struct tar_put_xattr){ name, { x->values + *used, (size_t)n } };
	*used += (size_t)n;
	return OK;
}

int entry_read_xattrs(int dir, const char *name, struct entry_xattrs *x, struct err *err)
{
	char path[PROC_PATH_MAX];
	size_t used = 0;
	ssize_t len;
	int rc = OK;

	x->n = x->names_len = 0;
	proc_path(dir, name, path);
	len = llistxattr(path, x->names, sizeof x->names);
	if (len < 0 && (errno == ENOTSUP || errno == EPERM))
		return OK;
	if (len < 0)
		return fail_errno(err, "list the xattrs of '%s'", name);
	x->names_len = (size_t)len;
	for (const char *at = x->names; rc == OK && at < x->names + len; at += strlen(at) + 1)
		if (is_kept(at))
			rc = read_value(path, at, x, &used, err);
	if (x->n > 1)
		qsort(x->all, x->n, sizeof *x->all, compare_names);
	return rc;
}

static bool same_xattrs(const struct entry_xattrs *a, const struct entry_xattrs *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const struct tar_put_xattr *p = &a->all[i], *q = &b->all[i];

		if (strcmp(p->name, q->name) != 0 || p->value.len != q->value.len ||
		    memcmp(p->value.data, q->value.data, p->value.len) != 0)
			return false;
	}
	return true;
}

/* ---- overlay ---------------------------------------------------------------------------- */

/* With and without privileges (userxattr) it uses other names. NULL: it has none of that kind. */
static const char *find_overlay(const struct entry_xattrs *x, const char *kind)
{
	static const char *const prefixes[] = { "trusted.overlay.", "user.overlay." };

	for (const char *at = x->names; at < x->names + x->names_len; at += strlen(at) + 1)
		for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
			if (begins_with(at, prefixes[i]) && !strcmp(at + strlen(prefixes[i]), kind))
				return at;
	return NULL;
}

/* "y"; a directory with whiteouts of another form has "x", and is none. */
static bool is_opaque(int dir, const char *name, const struct entry_xattrs *x)
{
	const char *key = find_overlay(x, "opaque");
	char path[PROC_PATH_MAX], value;

	proc_path(dir, name, path);
	return key && lgetxattr(path, key, &value, sizeof value) == 1 && value == 'y';
}

void entry_read_overlay(int dir, const char *name, const struct stat *st, const struct entry_xattrs *x,
			struct entry_overlay *ret_overlay)
{
	struct entry_overlay o = { .is_whiteout = S_ISCHR(st->st_mode) && st->st_rdev == 0 };

	if (S_ISDIR(st->st_mode)) {
		o.is_opaque = is_opaque(dir, name, x);
		o.is_foreign = find_overlay(x, "redirect") != NULL;
	} else if (S_ISREG(st->st_mode)) {
		o.is_whiteout = st->st_size == 0 && find_overlay(x, "whiteout") != NULL;
		o.is_foreign = find_overlay(x, "metacopy") != NULL;
	}
	*ret_overlay = o;
}

/* ---- the same ----------------------------------------------------------------------------- */

static bool same_head(const struct stat *a, const struct stat *b)
{
	bool is_device = S_ISCHR(a->st_mode) || S_ISBLK(a->st_mode);

	return a->st_mode == b->st_mode && a->st_uid == b->st_uid && a->st_gid == b->st_gid &&
	       (!is_device || a->st_rdev == b->st_rdev);
}

/* 1: equal, 0: not, -1 with errno. */
static int same_bytes(int a, int b)
{
	char of_a[PIECE], of_b[PIECE];

	for (off_t at = 0;;) {
		ssize_t n = pread(a, of_a, sizeof of_a, at), m = pread(b, of_b, sizeof of_b, at);

		if (n < 0 || m < 0)
			return -1;
		if (n != m || memcmp(of_a, of_b, (size_t)n) != 0)
			return 0;
		if (!n)
			return 1;
		at += n;
	}
}

static int same_target(int upper, int lower, const char *name)
{
	char a[PATH_MAX], b[PATH_MAX];
	ssize_t n = readlinkat(upper, name, a, sizeof a), m = readlinkat(lower, name, b, sizeof b);

	if (n < 0 || m < 0)
		return -1;
	return n == m && !memcmp(a, b, (size_t)n);
}

static int same_data(int upper, int lower, const char *name, mode_t mode)
{
	static const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	CLEANUP(closep) int a = -1;
	CLEANUP(closep) int b = -1;

	if (S_ISLNK(mode))
		return same_target(upper, lower, name);
	if (!S_ISREG(mode))
		return 1;
	a = openat(upper, name, flags);
	b = openat(lower, name, flags);
	return a < 0 || b < 0 ? -1 : same_bytes(a, b);
}

/* Layers have whole seconds: two of them do not tell a file from one that was changed at once. */
static int compare_file(int upper, int lower, const char *name, const struct stat *a, const struct stat *b,
			bool *ret_same, struct err *err)
{
	int same;

	*ret_same = a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
		    a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
	if (!*ret_same || a->st_mtim.tv_nsec)
		return OK;
	same = same_data(upper, lower, name, a->st_mode);
	if (same < 0)
		return fail_errno(err, "compare '%s' with the layers below", name);
	*ret_same = same;
	return OK;
}

int entry_is_same(int upper, int lower, const char *name, const struct stat *st, const struct entry_xattrs *x,
		  struct entry_xattrs *below, bool *ret_same, struct err *err)
{
	struct stat other;
	int rc;

	*ret_same = false;
	if (lower < 0 || fstatat(lower, name, &other, AT_SYMLINK_NOFOLLOW) < 0)
		return lower < 0 || errno == ENOENT ? OK : fail_errno(err, "look at '%s' in the layers below", name);
	if (!same_head(st, &other))
		return OK;
	rc = entry_read_xattrs(lower, name, below, err);
	if (rc != OK || !same_xattrs(x, below))
		return rc;
	*ret_same = true;
	return S_ISDIR(st->st_mode) ? OK : compare_file(upper, lower, name, st, &other, ret_same, err);
}

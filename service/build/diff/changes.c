#include "service/build/diff/changes.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/sysmacros.h>

#include "proto/runtime/buf.h"
#include "service/build/diff/entry.h"
#include "service/build/diff/links.h"
#include "service/build/diff/names.h"

enum { OUT_BYTES = 256 << 10, OUT_MAX = 32 << 20, PATH_BYTES_MAX = 1 << 20 };

static const char whiteout_prefix[] = ".wh.";

/* A directory on the way to the entry that is looked at. */
struct level {
	int upper, lower; /* lower -1: there is none */
	struct entry_names names;
	struct entry_names gone; /* names of lower that an opaque directory hides, and has not itself */
	size_t at, gone_at;
	size_t path_len; /* of what is in it */
	bool is_opaque;	 /* itself, or one above it */
	bool is_written; /* its header is out */
	struct stat st;
};

struct run {
	const struct changes *changes;
	struct level level[CHANGES_DEPTH_MAX];
	size_t depth; /* levels in use, >= 1 */
	size_t names_bytes;
	struct buf path; /* of the entry, without a slash in front */
	struct buf out;
	struct links links;
	struct entry_xattrs xattrs; /* of the entry that is visited */
	struct entry_xattrs below;  /* of another one */
};

/* ---- output -------------------------------------------------------------------------- */

static int flush(struct run *r, struct err *err)
{
	int rc = r->out.len ? r->changes->write(r->changes->arg, buf_bytes(&r->out), err) : OK;

	buf_reset(&r->out);
	return rc;
}

static int put_zeros(struct run *r, size_t len, struct err *err)
{
	static const uint8_t zeros[TAR_PUT_END];

	return buf_append(&r->out, zeros, len) ? OK : fail_nomem(err);
}

static int put_header(struct run *r, const struct tar_put *p, struct err *err)
{
	if (!tar_put_header(p, &r->out))
		return fail_nomem(err);
	return r->out.len < OUT_BYTES ? OK : flush(r, err);
}

static int fail_entry(const struct run *r, int code, const char *what, struct err *err)
{
	return fail(err, code, "/%.*s: %s", (int)min_size(r->path.len, 512), buf_text(&r->path), what);
}

static int fail_entry_errno(const struct run *r, const char *what, struct err *err)
{
	return fail_errno(err, "%s '/%.*s'", what, (int)min_size(r->path.len, 512), buf_text(&r->path));
}

/* ---- headers ------------------------------------------------------------------------------ */

static int64_t time_of(const struct run *r, const struct stat *st)
{
	bool is_late = r->changes->clamp && st->st_mtim.tv_sec > r->changes->latest;

	return is_late ? r->changes->latest : st->st_mtim.tv_sec;
}

static struct tar_put header_of(const struct run *r, const struct stat *st, const struct entry_xattrs *x)
{
	bool is_device = S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode);

	return (struct tar_put){
		.type = tar_put_type_of(st->st_mode),
		.name = buf_bytes(&r->path),
		.mode = st->st_mode & 07777,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0,
		.mtime = time_of(r, st),
		.major = is_device ? major(st->st_rdev) : 0,
		.minor = is_device ? minor(st->st_rdev) : 0,
		.xattrs = x->all,
		.n_xattrs = x->n,
	};
}

/* The header of a level's own directory, whose name is the first part of the path. */
static int write_directory(struct run *r, size_t number, struct err *err)
{
	struct level *l = &r->level[number];
	struct tar_put p;
	int rc;

	rc = entry_read_xattrs(l->upper, ".", &r->below, err);
	if (rc != OK)
		return rc;
	p = header_of(r, &l->st, &r->below);
	p.name.len = l->path_len; /* with its slash */
	l->is_written = true;
	return put_header(r, &p, err);
}

/* Directories come before what is in them, and the root not at all. */
static int write_parents(struct run *r, struct err *err)
{
	int rc = OK;

	for (size_t i = 1; rc == OK && i < r->depth; i++)
		if (!r->level[i].is_written)
			rc = write_directory(r, i, err);
	return rc;
}

/* ---- entries ----------------------------------------------------------------------------------- */

static struct level *top(struct run *r)
{
	return &r->level[r->depth - 1];
}

static bool set_name(struct run *r, const char *prefix, const char *name)
{
	r->path.len = top(r)->path_len;
	return buf_puts(&r->path, prefix) && buf_puts(&r->path, name);
}

static int write_whiteout(struct run *r, const char *name, struct err *err)
{
	int rc = write_parents(r, err);

	if (rc != OK)
		return rc;
	if (!set_name(r, whiteout_prefix, name))
		return fail_entry(r, E_LIMIT, "its path is too long", err);
	return put_header(r, &(struct tar_put){ .type = TAR_PUT_FILE, .name = buf_bytes(&r->path) }, err);
}

/* One piece of a file behind what is in the buffer. */
static int copy_piece(struct run *r, int fd, uint64_t left, uint64_t *ret_n, struct err *err)
{
	size_t want = min_size(left, OUT_BYTES);
	uint8_t *room = buf_reserve(&r->out, want);
	ssize_t n;

	if (!room)
		return fail_nomem(err);
	do
		n = read(fd, room, want);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return fail_entry_errno(r, "read", err);
	if (!n)
		return fail_entry(r, E_ABORTED, "it became shorter while it was read", err);
	r->out.len += (size_t)n;
	*ret_n = (uint64_t)n;
	return r->out.len < OUT_BYTES ? OK : flush(r, err);
}

static int write_data(struct run *r, const char *name, const struct stat *st, struct err *err)
{
	CLEANUP(closep) int fd = openat(top(r)->upper, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	uint64_t left = (uint64_t)st->st_size;
	struct stat now;

	if (fd < 0 || fstat(fd, &now) < 0)
		return fail_entry_errno(r, "open", err);
	if (now.st_ino != st->st_ino || now.st_size != st->st_size)
		return fail_entry(r, E_ABORTED, "it changed while it was read", err);
	while (left) {
		uint64_t n = 0;
		int rc = copy_piece(r, fd, left, &n, err);

		if (rc != OK)
			return rc;
		left -= n;
	}
	return put_zeros(r, tar_put_padding((uint64_t)st->st_size), err);
}

static int write_symlink(struct run *r, const char *name, struct tar_put p, struct err *err)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(top(r)->upper, name, target, sizeof target);

	if (n < 0 || n == sizeof target)
		return fail_entry_errno(r, "read the link", err);
	p.link = (struct bytes){ (const uint8_t *)target, (size_t)n };
	return put_header(r, &p, err);
}

/* Everything but a directory. */
static int write_entry(struct run *r, const char *name, const struct stat *st, struct err *err)
{
	const char *first = NULL;
	struct tar_put p;
	int rc = write_parents(r, err);

	if (rc == OK && st->st_nlink > 1)
		rc = links_find_or_add(&r->links, st, buf_bytes(&r->path), &first, err);
	if (rc != OK)
		return rc;
	p = header_of(r, st, &r->xattrs);
	if (first) {
		p.type = TAR_PUT_HARD_LINK;
		p.link = bytes_of(first);
		p.size = 0;
		p.n_xattrs = 0; /* the first name has them */
		return put_header(r, &p, err);
	}
	if (S_ISLNK(st->st_mode))
		return write_symlink(r, name, p, err);
	rc = put_header(r, &p, err);
	return rc == OK && S_ISREG(st->st_mode) ? write_data(r, name, st, err) : rc;
}

/* ---- directories -------------------------------------------------------------------------------- */

/* Those that lower has and an opaque directory has not. */
static int find_gone(struct run *r, struct level *l, struct err *err)
{
	struct entry_names below;
	size_t kept = 0;
	int rc;

	if (!l->is_opaque || l->lower < 0)
		return OK;
	rc = entry_names_read(l->lower, CHANGES_NAMES_MAX - r->names_bytes, &below, err);
	if (rc != OK)
		return rc;
	for (size_t i = 0; i < below.n; i++)
		if (entry_names_have(&l->names, below.sorted[i]))
			free(below.sorted[i]);
		else
			below.sorted[kept++] = below.sorted[i];
	below.n = kept;
	l->gone = below;
	return OK;
}

/* Takes the descriptors, also on failure. */
static int enter(struct run *r, int upper, int lower, const struct stat *st, bool is_opaque, struct err *err)
{
	struct level *l = &r->level[r->depth];
	int rc;

	if (r->depth == CHANGES_DEPTH_MAX) {
		close(upper);
		closep(&lower);
		return fail_entry(r, E_LIMIT, "too many directories within each other", err);
	}
	*l = (struct level){
		.upper = upper, .lower = lower, .st = *st, .path_len = r->path.len, .is_opaque = is_opaque
	};
	r->depth++;
	rc = entry_names_read(upper, CHANGES_NAMES_MAX - r->names_bytes, &l->names, err);
	if (rc == OK)
		rc = find_gone(r, l, err);
	r->names_bytes += l->names.bytes + l->gone.bytes;
	return rc;
}

static void leave(struct run *r)
{
	struct level *l = &r->level[--r->depth];

	r->names_bytes -= l->names.bytes + l->gone.bytes;
	entry_names_free(&l->names);
	entry_names_free(&l->gone);
	close(l->upper);
	closep(&l->lower);
}

/* What is no directory below is none to compare with. */
static int open_lower(const struct level *l, const char *name)
{
	return l->lower < 0 ? -1 : openat(l->lower, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int visit_directory(struct run *r, const char *name, const struct stat *st, bool is_opaque, bool is_same,
			   struct err *err)
{
	struct level *parent = top(r);
	int upper = openat(parent->upper, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), rc;

	if (upper < 0)
		return fail_entry_errno(r, "open", err);
	if (!buf_putc(&r->path, '/')) {
		close(upper);
		return fail_entry(r, E_LIMIT, "its path is too long", err);
	}
	rc = enter(r, upper, open_lower(parent, name), st, parent->is_opaque || is_opaque, err);
	return rc == OK && !is_same ? write_parents(r, err) : rc;
}

static bool is_below(const struct level *l, const char *name)
{
	struct stat st;

	return l->lower >= 0 && !fstatat(l->lower, name, &st, AT_SYMLINK_NOFOLLOW);
}

/* ---- walk ------------------------------------------------------------------------------------------ */

static int visit(struct run *r, const char *name, struct err *err)
{
	struct level *l = top(r);
	struct entry_overlay overlay;
	struct stat st;
	bool is_same = false;
	int rc;

	if (!set_name(r, "", name))
		return fail_entry(r, E_LIMIT, "its path is too long", err);
	if (fstatat(l->upper, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_entry_errno(r, "look at", err);
	rc = entry_read_xattrs(l->upper, name, &r->xattrs, err);
	if (rc != OK)
		return rc;
	entry_read_overlay(l->upper, name, &st, &r->xattrs, &overlay);
	if (overlay.is_whiteout)
		return is_below(l, name) ? write_whiteout(r, name, err) : OK;
	if (S_ISSOCK(st.st_mode))
		return OK;
	if (overlay.is_foreign)
		return fail_entry(r, E_UNSUPPORTED, "the overlay keeps part of it elsewhere", err);
	if (!strncmp(name, whiteout_prefix, strlen(whiteout_prefix)))
		return fail_entry(r, E_UNSUPPORTED,
				  "a layer cannot have a file of this name, as it means a removal: the step has to "
				  "rename or remove it",
				  err);
	rc = entry_is_same(l->upper, l->lower, name, &st, &r->xattrs, &r->below, &is_same, err);
	if (rc != OK)
		return rc;
	if (S_ISDIR(st.st_mode))
		return visit_directory(r, name, &st, overlay.is_opaque, is_same, err);
	/* A new name of an old file needs the old one beside it. */
	return is_same && st.st_nlink == 1 ? OK : write_entry(r, name, &st, err);
}

/* The next one of a directory: an entry, or a name that it hides. False at its end. */
static bool next(struct level *l, const char **ret_name, bool *ret_is_gone)
{
	const char *here = l->at < l->names.n ? l->names.sorted[l->at] : NULL;
	const char *gone = l->gone_at < l->gone.n ? l->gone.sorted[l->gone_at] : NULL;

	*ret_is_gone = gone && (!here || strcmp(gone, here) < 0);
	*ret_name = *ret_is_gone ? gone : here;
	if (*ret_is_gone)
		l->gone_at++;
	else if (here)
		l->at++;
	return *ret_name;
}

static int walk(struct run *r, struct err *err)
{
	const char *name;
	bool is_gone;
	int rc = OK;

	while (rc == OK && r->depth) {
		if (!next(top(r), &name, &is_gone))
			leave(r);
		else
			rc = is_gone ? write_whiteout(r, name, err) : visit(r, name, err);
	}
	return rc;
}

static int begin(struct run *r, struct err *err)
{
	const struct changes *c = r->changes;
	CLEANUP(closep) int upper = openat(c->upper, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(closep) int lower = c->lower < 0 ? -1 : openat(c->lower, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct entry_overlay overlay;
	struct stat st;
	int rc;

	if (upper < 0 || (c->lower >= 0 && lower < 0) || fstat(upper, &st) < 0)
		return fail_errno(err, "open the directory of changes");
	rc = entry_read_xattrs(upper, ".", &r->xattrs, err);
	if (rc != OK)
		return rc;
	entry_read_overlay(upper, ".", &st, &r->xattrs, &overlay);
	return enter(r, take_fd(&upper), take_fd(&lower), &st, overlay.is_opaque, err);
}

int changes_write(const struct changes *c, struct err *err)
{
	struct run *r = calloc(1, sizeof *r);
	int rc;

	if (!r)
		return fail_nomem(err);
	r->changes = c;
	r->path = (struct buf)BUF_INIT(PATH_BYTES_MAX);
	r->out = (struct buf)BUF_INIT(OUT_MAX);
	rc = begin(r, err);
	if (rc == OK)
		rc = walk(r, err);
	if (rc == OK)
		rc = put_zeros(r, TAR_PUT_END, err);
	if (rc == OK)
		rc = flush(r, err);
	while (r->depth)
		leave(r);
	links_free(&r->links);
	buf_free(&r->path);
	buf_free(&r->out);
	free(r);
	return rc;
}

#include "client/cli/build/output_tree.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "client/cli/file_error.h"
#include "store/types/context_entry.h"

enum { NS = 1000 * 1000 * 1000, MODE_BITS = 07777 };

/* That what comes is in: its mode and time come when all is in it. */
struct directory {
	struct directory *next;
	mode_t mode;
	int64_t mtime_ns;
	char path[];
};

struct output_tree {
	char *root;
	int fd;
	struct directory *directories; /* the innermost first */
	int file;		       /* being written; -1 */
	char path[CONTEXT_PATH_MAX + 1];
	int64_t left; /* bytes of it */
	mode_t mode;
	int64_t mtime_ns;
};

static int fail_at(const struct output_tree *t, const char *verb, const char *path, struct err *err)
{
	char shown[CONTEXT_SHOWN_MAX + 512];
	char name[CONTEXT_SHOWN_MAX];
	int number = errno;

	context_path_show(bytes_of(path), name);
	snprintf(shown, sizeof shown, "%.500s/%s", t->root, name);
	errno = number;
	return fail_file(err, verb, shown);
}

/* ---- the root ------------------------------------------------------------------------------------ */

static int make_parents(const char *path, struct err *err)
{
	CLEANUP(freep) char *copy = strdup(path);

	if (!copy)
		return fail_nomem(err);
	for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			return fail_file(err, "mkdir", copy);
		*slash = '/';
	}
	return mkdir(copy, 0755) < 0 && errno != EEXIST ? fail_file(err, "mkdir", copy) : OK;
}

int output_tree_open(const char *path, struct output_tree **ret_tree, struct err *err)
{
	struct output_tree *t;
	int fd;

	if (make_parents(path, err) < 0)
		return err->code;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail_file(err, "open", path);
	t = calloc(1, sizeof *t);
	if (t)
		t->root = strdup(path);
	if (!t || !t->root) {
		close(fd);
		free(t);
		return fail_nomem(err);
	}
	t->fd = fd;
	t->file = -1;
	*ret_tree = t;
	return OK;
}

void output_tree_free(struct output_tree *t)
{
	if (!t)
		return;
	while (t->directories) {
		struct directory *d = t->directories;

		t->directories = d->next;
		free(d);
	}
	closep(&t->file);
	close(t->fd);
	free(t->root);
	free(t);
}

/* ---- names ---------------------------------------------------------------------------------------- */

static int open_beneath(const struct output_tree *t, const char *path, uint64_t flags)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, t->fd, *path ? path : ".", &how, sizeof how);
}

/* The directory that the path is in, and the name in it, which points into `path`. */
static int open_parent(const struct output_tree *t, const char *path, const char **ret_name, struct err *err)
{
	const char *slash = strrchr(path, '/');
	CLEANUP(freep) char *parent = slash ? strndup(path, (size_t)(slash - path)) : strdup("");
	int fd;

	if (!parent)
		return fail_nomem(err);
	*ret_name = slash ? slash + 1 : path;
	fd = open_beneath(t, parent, O_RDONLY | O_DIRECTORY);
	return fd < 0 ? fail_at(t, "open", parent, err) : fd;
}

/* The path as text; it holds no NUL. */
static int check_path(ProtobufCBinaryData path, char out[CONTEXT_PATH_MAX + 1], struct err *err)
{
	const struct bytes b = { path.data, path.len };

	if (context_path_check(b, err) < 0)
		return err_wrap(err, "output");
	memcpy(out, b.data, b.len);
	out[b.len] = 0;
	return strlen(out) == b.len ? OK : fail(err, E_INTERNAL, "output: a path with a NUL");
}

/* Makes place for what is no directory. */
static int make_place(const struct output_tree *t, int parent, const char *name, const char *path, struct err *err)
{
	if (!unlinkat(parent, name, 0) || errno == ENOENT)
		return OK;
	return fail_at(t, "remove", path, err);
}

/* ---- entries ---------------------------------------------------------------------------------------- */

static struct timespec time_at(int64_t ns)
{
	int64_t rest = ns % NS;

	return (struct timespec){ ns / NS - (rest < 0), rest < 0 ? rest + NS : rest };
}

static void set_times(int fd, int64_t mtime_ns)
{
	const struct timespec times[] = { time_at(mtime_ns), time_at(mtime_ns) };

	futimens(fd, times);
}

/* What the file system or the user may not keep is left out. */
static int set_xattrs(const struct output_tree *t, int fd, const Imaged__V1__ContextEntry *e, struct err *err)
{
	for (size_t i = 0; i < e->n_xattrs; i++) {
		const Imaged__V1__ExtendedAttribute *x = e->xattrs[i];
		CLEANUP(freep) char *name = bytes_to_string((struct bytes){ x->name.data, x->name.len });

		if (!name)
			return fail(err, E_INTERNAL, "output: an extended attribute without a name");
		if (strncmp(name, "user.", 5) != 0 && strcmp(name, "security.capability") != 0)
			continue;
		if (fsetxattr(fd, name, x->value.data, x->value.len, 0) < 0 && errno != ENOTSUP && errno != EPERM)
			return fail_at(t, "setxattr", t->path, err);
	}
	return OK;
}

static int remember(struct output_tree *t, const Imaged__V1__ContextEntry *e, const char *path, struct err *err)
{
	size_t len = strlen(path);
	struct directory *d = malloc(sizeof *d + len + 1);

	if (!d)
		return fail_nomem(err);
	d->mode = e->mode & MODE_BITS;
	d->mtime_ns = e->mtime_ns;
	memcpy(d->path, path, len + 1);
	d->next = t->directories;
	t->directories = d;
	return OK;
}

static int make_directory(struct output_tree *t, const Imaged__V1__ContextEntry *e, int parent, const char *name,
			  struct err *err)
{
	struct stat st;

	if (mkdirat(parent, name, 0700) < 0) {
		if (errno != EEXIST)
			return fail_at(t, "mkdir", t->path, err);
		if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return fail_at(t, "lstat", t->path, err);
		if (!S_ISDIR(st.st_mode) && (make_place(t, parent, name, t->path, err) < 0 ||
					     (mkdirat(parent, name, 0700) < 0 && fail_at(t, "mkdir", t->path, err))))
			return err->code;
	}
	return remember(t, e, t->path, err);
}

static int make_link(struct output_tree *t, const Imaged__V1__ContextEntry *e, int parent, const char *name,
		     struct err *err)
{
	const struct timespec times[] = { time_at(e->mtime_ns), time_at(e->mtime_ns) };
	CLEANUP(freep) char *target = bytes_to_string((struct bytes){ e->link.data, e->link.len });

	if (!target)
		return fail(err, E_INTERNAL, "output: a symbolic link without a target");
	if (make_place(t, parent, name, t->path, err) < 0)
		return err->code;
	if (symlinkat(target, parent, name) < 0)
		return fail_at(t, "symlink", t->path, err);
	utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW);
	return OK;
}

static int make_hard_link(struct output_tree *t, const Imaged__V1__ContextEntry *e, int parent, const char *name,
			  struct err *err)
{
	char first[CONTEXT_PATH_MAX + 1];
	CLEANUP(closep) int from = -1;
	const char *first_name;

	if (check_path(e->same_as, first, err) < 0)
		return err->code;
	from = open_parent(t, first, &first_name, err);
	if (from < 0)
		return from;
	if (make_place(t, parent, name, t->path, err) < 0)
		return err->code;
	return linkat(from, first_name, parent, name, 0) < 0 ? fail_at(t, "link", t->path, err) : OK;
}

static int make_file(struct output_tree *t, const Imaged__V1__ContextEntry *e, int parent, const char *name,
		     struct err *err)
{
	if (e->size < 0)
		return fail(err, E_INTERNAL, "output: a file of a negative size");
	if (make_place(t, parent, name, t->path, err) < 0)
		return err->code;
	t->file = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (t->file < 0)
		return fail_at(t, "open", t->path, err);
	t->left = e->size;
	t->mode = e->mode & MODE_BITS;
	t->mtime_ns = e->mtime_ns;
	return set_xattrs(t, t->file, e, err);
}

static int make_node(struct output_tree *t, const Imaged__V1__ContextEntry *e, int parent, const char *name,
		     struct err *err)
{
	dev_t device = makedev((unsigned)(e->device >> 32), (unsigned)e->device);

	if (!S_ISFIFO(e->mode) && geteuid())
		return OK;
	if (make_place(t, parent, name, t->path, err) < 0)
		return err->code;
	if (mknodat(parent, name, (e->mode & S_IFMT) | 0600, device) < 0)
		return errno == EPERM ? OK : fail_at(t, "mknod", t->path, err);
	return fchmodat(parent, name, e->mode & MODE_BITS, 0) < 0 ? fail_at(t, "chmod", t->path, err) : OK;
}

static int make(struct output_tree *t, const Imaged__V1__ContextEntry *e, struct err *err)
{
	const char *name;
	CLEANUP(closep) int parent = open_parent(t, t->path, &name, err);

	if (parent < 0)
		return parent;
	switch (e->mode & S_IFMT) {
	case S_IFDIR:
		return make_directory(t, e, parent, name, err);
	case S_IFLNK:
		return make_link(t, e, parent, name, err);
	case S_IFREG:
		return e->same_as.len ? make_hard_link(t, e, parent, name, err) : make_file(t, e, parent, name, err);
	case S_IFIFO:
	case S_IFCHR:
	case S_IFBLK:
		return make_node(t, e, parent, name, err);
	default:
		return fail(err, E_INTERNAL, "output: a file of an unknown type");
	}
}

/* ---- directories that are whole ----------------------------------------------------------------------- */

static int finish_directory(struct output_tree *t, const struct directory *d, struct err *err)
{
	CLEANUP(closep) int fd = open_beneath(t, d->path, O_RDONLY | O_DIRECTORY);

	if (fd < 0 || fchmod(fd, d->mode) < 0)
		return fail_at(t, "chmod", d->path, err);
	set_times(fd, d->mtime_ns);
	return OK;
}

static bool is_in(const char *path, const struct directory *d)
{
	size_t len = strlen(d->path);

	return !strncmp(path, d->path, len) && path[len] == '/';
}

/* Those that the path is not in; NULL: all. A service that tells a tree in no order makes no more of them than a path
 * has parts. */
static int leave_directories(struct output_tree *t, const char *path, struct err *err)
{
	while (t->directories && !(path && is_in(path, t->directories))) {
		CLEANUP(freep) struct directory *d = t->directories;

		t->directories = d->next;
		if (finish_directory(t, d, err) < 0)
			return err->code;
	}
	return OK;
}

int output_tree_entry(struct output_tree *t, const Imaged__V1__OutputEntry *m, struct err *err)
{
	if (!m->entry)
		return fail(err, E_INTERNAL, "output: an entry without a path");
	if (t->file >= 0)
		return fail(err, E_INTERNAL, "output: a file came before the end of the one before");
	if (check_path(m->entry->path, t->path, err) < 0 || leave_directories(t, t->path, err) < 0)
		return err->code;
	return make(t, m->entry, err);
}

/* ---- data ------------------------------------------------------------------------------------------- */

static int write_all(struct output_tree *t, struct bytes data, struct err *err)
{
	while (data.len) {
		ssize_t n = write(t->file, data.data, data.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_at(t, "write", t->path, err);
		data.data += n;
		data.len -= (size_t)n;
	}
	return OK;
}

static int end_file(struct output_tree *t, struct err *err)
{
	if (t->left)
		return fail(err, E_INTERNAL, "output: a file is shorter than was said");
	if (fchmod(t->file, t->mode) < 0)
		return fail_at(t, "chmod", t->path, err);
	set_times(t->file, t->mtime_ns);
	return close(take_fd(&t->file)) < 0 ? fail_at(t, "close", t->path, err) : OK;
}

int output_tree_data(struct output_tree *t, struct bytes data, bool end, struct err *err)
{
	if (t->file < 0)
		return fail(err, E_INTERNAL, "output: bytes of no file");
	if (data.len > (uint64_t)t->left)
		return fail(err, E_INTERNAL, "output: a file is longer than was said");
	t->left -= (int64_t)data.len;
	if (write_all(t, data, err) < 0)
		return err->code;
	return end ? end_file(t, err) : OK;
}

int output_tree_finish(struct output_tree *t, struct err *err)
{
	if (t->file >= 0)
		return fail(err, E_INTERNAL, "output: the last file has no end");
	return leave_directories(t, NULL, err);
}

#include "service/build/run/worker/in_root.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

enum { LINKS_MAX = 40, FILE_MODE = 0644, DIRECTORY_MODE = 0755 };

int in_root_open(int root, const char *path, int flags)
{
	struct open_how how = { .flags = (uint64_t)(flags | O_CLOEXEC),
				.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };

	return (int)syscall(SYS_openat2, root, path, &how, sizeof how);
}

/* ---- read ----------------------------------------------------------------------- */

static int read_all(int fd, const char *path, char *text, size_t size, size_t *ret_len, struct err *err)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, text + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "read %s of the image", path);
		if (!n)
			break;
		len += (size_t)n;
	}
	*ret_len = len;
	return OK;
}

/* O_NONBLOCK: a fifo in its place must not hold us up. */
int in_root_read(int root, const char *path, size_t max, char **ret_text, size_t *ret_len, struct err *err)
{
	CLEANUP(closep) int fd = in_root_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	CLEANUP(freep) char *text = NULL;
	struct stat st;
	int rc;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ENXIO || errno == ELOOP))
		return fail(err, E_NOT_FOUND, "%s is not in the image", path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return fail_errno(err, "open %s of the image", path);
	if (!S_ISREG(st.st_mode))
		return fail(err, E_NOT_FOUND, "%s of the image is no file", path);
	if ((uint64_t)st.st_size > max)
		return fail(err, E_LIMIT, "%s of the image is larger than %zu bytes", path, max);
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return fail_nomem(err);
	rc = read_all(fd, path, text, (size_t)st.st_size, ret_len, err);
	if (rc != OK)
		return rc;
	text[*ret_len] = 0;
	*ret_text = TAKE(text);
	return OK;
}

/* ---- make ------------------------------------------------------------------------ */

/* A walk along a path, of which a link may become a new beginning. */
struct walk {
	int root;
	bool is_directory;
	const struct in_root_made *watch;
	char path[PATH_MAX]; /* what is to be there */
	unsigned links;
};

static int fail_path(const struct walk *w, const char *what, struct err *err)
{
	return fail(err, E_INVALID, "mount point '%s': %s", w->path, what);
}

/* The path becomes: where the link at its first `dir_len` + name bytes points, and the rest. */
static int follow(struct walk *w, size_t dir_len, const char *link, const char *rest, struct err *err)
{
	char next[PATH_MAX];
	int n;

	if (++w->links > LINKS_MAX)
		return fail_path(w, "too many symbolic links", err);
	n = snprintf(next, sizeof next, "%.*s/%s/%s", link[0] == '/' ? 0 : (int)dir_len, w->path, link, rest);
	if (n < 0 || (size_t)n >= sizeof next)
		return fail_path(w, "its symbolic links make it too long", err);
	memcpy(w->path, next, (size_t)n + 1);
	return OK;
}

static int make_one(struct walk *w, int parent, const char *name, bool directory, struct err *err)
{
	struct stat before;
	int fd;

	if (fstat(parent, &before) < 0)
		return fail_errno(err, "look at the mount point '%s'", w->path);
	if (directory) {
		if (mkdirat(parent, name, DIRECTORY_MODE) < 0)
			return fail_errno(err, "make the mount point '%s'", w->path);
	} else {
		fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
		if (fd < 0)
			return fail_errno(err, "make the mount point '%s'", w->path);
		close(fd);
	}
	if (w->watch)
		w->watch->made(w->watch->arg, parent, &before, name, directory);
	return OK;
}

/* The component at [begin, end) of the path is not there: it is made, or it is a link that
 * dangles, and *ret_restart says so. */
static int make_or_follow(struct walk *w, int parent, size_t begin, size_t end, bool *ret_restart, struct err *err)
{
	char name[NAME_MAX + 1], link[PATH_MAX];
	bool last = w->path[end] == 0;
	ssize_t n;

	if (end - begin > NAME_MAX)
		return fail_path(w, "a name in it is too long", err);
	snprintf(name, sizeof name, "%.*s", (int)(end - begin), w->path + begin);
	n = readlinkat(parent, name, link, sizeof link - 1);
	if (n < 0 && errno == ENOENT)
		return make_one(w, parent, name, !last || w->is_directory, err);
	if (n < 0)
		return fail_path(w, "it changes while it is made", err);
	link[n] = 0;
	*ret_restart = true;
	return follow(w, begin, link, last ? "" : w->path + end + 1, err);
}

/* Opens the first `end` bytes of the path. */
static int open_prefix(const struct walk *w, size_t end)
{
	char prefix[PATH_MAX];

	snprintf(prefix, sizeof prefix, "%.*s", (int)end, w->path);
	return in_root_open(w->root, end ? prefix : ".", O_PATH);
}

/* One component, at [begin, end): opened, or made. *ret_fd is what it is. */
static int step_into(struct walk *w, int parent, size_t begin, size_t end, bool *ret_restart, int *ret_fd,
		     struct err *err)
{
	int fd = open_prefix(w, end), rc;

	if (fd < 0 && errno == ENOTDIR)
		return fail_path(w, "it leads through something that is no directory", err);
	if (fd < 0 && errno != ENOENT)
		return fail_errno(err, "look at the mount point '%s'", w->path);
	if (fd < 0) {
		rc = make_or_follow(w, parent, begin, end, ret_restart, err);
		if (rc != OK || *ret_restart)
			return rc;
		fd = open_prefix(w, end);
		if (fd < 0)
			return fail_errno(err, "look at the mount point '%s'", w->path);
	}
	*ret_fd = fd;
	return OK;
}

/* From the root to the end, or to a link that is to be followed first. */
static int walk_once(struct walk *w, bool *ret_restart, struct err *err)
{
	CLEANUP(closep) int at = in_root_open(w->root, ".", O_PATH);
	size_t begin = 0, end;

	*ret_restart = false;
	if (at < 0)
		return fail_errno(err, "open the root file system");
	for (;; begin = end) {
		int next = -1, rc;

		begin += strspn(w->path + begin, "/");
		if (!w->path[begin])
			return OK;
		end = begin + strcspn(w->path + begin, "/");
		rc = step_into(w, at, begin, end, ret_restart, &next, err);
		if (rc != OK || *ret_restart)
			return rc;
		close(at);
		at = next;
	}
}

/* A slash at the end would make the last component one in the middle. */
static void trim(char *path)
{
	size_t len = strlen(path);

	while (len && path[len - 1] == '/')
		path[--len] = 0;
}

int in_root_make(int root, const char *path, bool is_directory, const struct in_root_made *watch, struct err *err)
{
	struct walk w = { .root = root, .is_directory = is_directory, .watch = watch };
	bool restart;
	int n = snprintf(w.path, sizeof w.path, "%s", path);

	if (n < 0 || (size_t)n >= sizeof w.path)
		return fail(err, E_INVALID, "a mount point with a path of more than %d bytes", PATH_MAX - 1);
	do {
		int rc;

		trim(w.path);
		rc = walk_once(&w, &restart, err);
		if (rc != OK)
			return rc;
	} while (restart);
	return OK;
}

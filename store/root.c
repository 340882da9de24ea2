#include "store/root.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

enum { FORMAT_TEXT_MAX = 64, PID_TEXT_MAX = 24 };

static const char format_head[] = "imaged store ";

/* ---- the directory -------------------------------------------------------- */

static int make_parents(const char *root, struct err *err)
{
	CLEANUP(freep) char *path = strdup(root);

	if (!path)
		return fail_nomem(err);
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if (mkdir(path, 0755) && errno != EEXIST && errno != EROFS)
			return fail_errno(err, "create directory '%s'", path);
		*slash = '/';
	}
	return OK;
}

/* The root and its parents may have been made by this start, or by one that was killed
 * before it could sync; what must not be read was there before. */
static int sync_parents(struct store *s, struct err *err)
{
	CLEANUP(closep) int fd = dup(s->root_fd);

	for (const char *name = s->root; name; name = strchr(name + 1, '/')) {
		int parent = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (parent < 0 && errno == EACCES)
			return OK;
		closep(&fd);
		fd = parent;
		/* Some file systems cannot sync directories: nothing was made in those. */
		if (fd < 0 || (fsync(fd) && errno != EINVAL && errno != EROFS))
			return fail_errno(err, "root '%s': sync the directories above", s->root);
	}
	return OK;
}

static int open_root(struct store *s, struct err *err)
{
	s->root_fd = open(s->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->root_fd < 0 && errno == ENOENT) {
		int r = make_parents(s->root, err);

		if (r != OK)
			return r;
		if (mkdir(s->root, 0700) && errno != EEXIST)
			return fail_errno(err, "create root '%s'", s->root);
		s->root_fd = open(s->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	return s->root_fd < 0 ? fail_errno(err, "open root '%s'", s->root) : OK;
}

/* ---- FORMAT --------------------------------------------------------------- */

static int parse_format(const char *text, long *ret_format)
{
	char *end;
	long n;

	if (strncmp(text, format_head, sizeof format_head - 1))
		return -1;
	n = strtol(text + sizeof format_head - 1, &end, 10);
	if (n <= 0 || *end != '\n')
		return -1;
	*ret_format = n;
	return 0;
}

/* *ret_format 0: there is no FORMAT. */
static int read_format(struct store *s, long *ret_format, struct err *err)
{
	CLEANUP(closep) int fd = openat(s->root_fd, "FORMAT", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[FORMAT_TEXT_MAX];
	ssize_t n;

	*ret_format = 0;
	if (fd < 0 && errno == ENOENT)
		return OK;
	if (fd < 0)
		return fail_errno(err, "root '%s': open FORMAT", s->root);
	n = read(fd, text, sizeof text - 1);
	if (n < 0)
		return fail_errno(err, "root '%s': read FORMAT", s->root);
	text[n] = 0;
	if (parse_format(text, ret_format))
		return fail(err, E_FORMAT, "root '%s': FORMAT is not one of an imaged store", s->root);
	if (*ret_format > STORE_FORMAT)
		return fail(
			err, E_FORMAT,
			"root '%s' has store format %ld, and this imaged knows formats up to %d: use a newer imaged",
			s->root, *ret_format, STORE_FORMAT);
	return OK;
}

static int write_all(int fd, const char *text)
{
	size_t len = strlen(text);
	ssize_t n = write(fd, text, len);

	if (n >= 0 && (size_t)n < len)
		errno = ENOSPC;
	return n < 0 || (size_t)n < len ? -1 : 0;
}

static int write_format(struct store *s, struct err *err)
{
	CLEANUP(closep)
	int fd = openat(s->root_fd, "FORMAT.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	char text[FORMAT_TEXT_MAX];

	snprintf(text, sizeof text, "%s%d\n", format_head, STORE_FORMAT);
	if (fd < 0 || write_all(fd, text) || fsync(fd) || renameat(s->root_fd, "FORMAT.new", s->root_fd, "FORMAT") ||
	    fsync(s->root_fd))
		return store_fail_errno(s, (int64_t)strlen(text), err, "root '%s': write FORMAT", s->root);
	return OK;
}

/* Before FORMAT is there nothing else is, but what a start that was cut short and
 * mkfs leave behind. */
static bool may_be_there(const char *name)
{
	static const char *const known[] = { ".", "..", "lock", "FORMAT.new", "lost+found" };

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (!strcmp(name, known[i]))
			return true;
	return false;
}

static int check_ours(struct store *s, struct err *err)
{
	int fd = openat(s->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = OK;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		closep(&fd);
		return fail_errno(err, "root '%s': read directory", s->root);
	}
	while (r == OK) {
		struct dirent *e;

		if (!dir_next(dir, &e))
			r = fail_errno(err, "root '%s': read directory", s->root);
		else if (!e)
			break;
		else if (!may_be_there(e->d_name))
			r = fail(err, E_INVALID, "root '%s' is neither empty nor an imaged store: it holds '%s'",
				 s->root, e->d_name);
	}
	closedir(dir);
	return r;
}

/* ---- lock ----------------------------------------------------------------- */

static int fail_locked(struct store *s, struct err *err)
{
	char pid[PID_TEXT_MAX] = "";
	ssize_t n = pread(s->lock_fd, pid, sizeof pid - 1, 0);

	pid[n > 0 ? n : 0] = 0;
	pid[strcspn(pid, "\n")] = 0;
	return fail(err, E_BUSY, "root '%s' is in use by process %s", s->root, pid[0] ? pid : "unknown");
}

static int write_pid(struct store *s, struct err *err)
{
	char pid[PID_TEXT_MAX];
	int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());

	/* On a full disk the lock is worth more than the number in it. */
	if ((ftruncate(s->lock_fd, 0) || pwrite(s->lock_fd, pid, (size_t)n, 0) != n) && errno != ENOSPC &&
	    errno != EDQUOT)
		return fail_errno(err, "root '%s': write lock", s->root);
	return OK;
}

static bool means_read_only(int number)
{
	return number == EROFS || number == EACCES || number == EPERM;
}

/* A store that cannot be written still must not be read while another process
 * that can is writing: it takes the lock shared, where there is one. */
static int take_lock(struct store *s, struct err *err)
{
	s->lock_fd = openat(s->root_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock_fd < 0 && means_read_only(errno)) {
		s->read_only = true;
		s->lock_fd = openat(s->root_fd, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (s->lock_fd < 0 && errno == ENOENT)
			return OK;
	}
	if (s->lock_fd < 0)
		return fail_errno(err, "root '%s': open lock", s->root);
	if (flock(s->lock_fd, (s->read_only ? LOCK_SH : LOCK_EX) | LOCK_NB))
		return errno == EWOULDBLOCK ? fail_locked(s, err) : fail_errno(err, "root '%s': lock", s->root);
	return s->read_only ? OK : write_pid(s, err);
}

/* ---- directories ---------------------------------------------------------- */

int root_open_dir(struct store *s, const char *name, int *ret_fd, struct err *err)
{
	if (!s->read_only) {
		if (mkdirat(s->root_fd, name, 0700) && errno != EEXIST)
			return store_fail_errno(s, 0, err, "root '%s': create directory '%s'", s->root, name);
	}
	*ret_fd = openat(s->root_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return *ret_fd < 0 ? fail_errno(err, "root '%s': open directory '%s'", s->root, name) : OK;
}

/* The one algorithm that every store will use; for another shard_make() does it. */
static int make_algorithm_dir(struct store *s, struct err *err)
{
	if (s->read_only)
		return OK;
	if ((mkdirat(s->content_fd, digest_algorithm_name(DIGEST_SHA256), 0700) && errno != EEXIST) ||
	    fsync(s->content_fd))
		return store_fail_errno(s, 0, err, "root '%s': create directory 'content/sha256'", s->root);
	return OK;
}

/* One that came later: a store of before may be read-only. */
static int open_later(struct store *s, const char *name, int *ret_fd, struct err *err)
{
	struct stat st;

	if (s->read_only && fstatat(s->root_fd, name, &st, 0) && errno == ENOENT)
		return OK;
	if (root_open_dir(s, name, ret_fd, err) < 0)
		return err ? err->code : E_IO;
	/* A start before this one may have made it, and been cut off. */
	if (!s->read_only && fsync(s->root_fd) && errno != EINVAL)
		return store_fail_errno(s, 0, err, "root '%s': sync", s->root);
	return OK;
}

/* Of builds: two in one directory. */
static int open_builds(struct store *s, struct err *err)
{
	int r = open_later(s, "builds", &s->builds_fd, err);

	if (r != OK || s->builds_fd < 0)
		return r;
	r = open_later(s, "builds/caches", &s->caches_fd, err);
	if (r == OK)
		r = open_later(s, "builds/logs", &s->logs_fd, err);
	if (r == OK && !s->read_only && fsync(s->builds_fd) && errno != EINVAL)
		r = store_fail_errno(s, 0, err, "root '%s': sync directory 'builds'", s->root);
	return r;
}

static int open_dirs(struct store *s, struct err *err)
{
	int r = root_open_dir(s, "content", &s->content_fd, err);

	if (r == OK)
		r = make_algorithm_dir(s, err);
	if (r == OK)
		r = root_open_dir(s, "ingest", &s->ingest_fd, err);
	if (r == OK)
		r = root_open_dir(s, "quarantine", &s->quarantine_fd, err);
	if (r == OK)
		r = open_later(s, "layers", &s->layers_fd, err);
	if (r == OK)
		r = open_later(s, "contexts", &s->contexts_fd, err);
	if (r == OK)
		r = open_builds(s, err);
	return r;
}

int root_open(struct store *s, struct err *err)
{
	long format;
	int r = open_root(s, err);

	if (r == OK)
		r = read_format(s, &format, err);
	if (r == OK && !format)
		r = check_ours(s, err);
	if (r == OK)
		r = take_lock(s, err);
	if (r == OK) /* another process may have made it just before */
		r = read_format(s, &format, err);
	if (r == OK && !format && s->read_only)
		r = fail(err, E_READ_ONLY, "root '%s' is read-only and holds no store", s->root);
	if (r == OK && !format)
		r = sync_parents(s, err);
	if (r == OK && !format)
		r = write_format(s, err);
	return r == OK ? open_dirs(s, err) : r;
}

void root_close(struct store *s)
{
	closep(&s->content_fd);
	closep(&s->ingest_fd);
	closep(&s->quarantine_fd);
	closep(&s->layers_fd);
	closep(&s->contexts_fd);
	closep(&s->caches_fd);
	closep(&s->logs_fd);
	closep(&s->builds_fd);
	closep(&s->root_fd);
	closep(&s->lock_fd); /* last: it gives the root free */
}

#include "client/cli/output_file.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "client/cli/cli.h"
#include "client/cli/file_error.h"

enum { MODE = 0600, NAMES_TRIED = 100 };

/* What the finished file would not fill, but replace; NULL: it may. */
static const char *kind_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "directory";
	case S_IFCHR:
		return "character device file";
	case S_IFBLK:
		return "block device file";
	case S_IFIFO:
		return "named pipe";
	case S_IFLNK:
		return "symbolic link directly";
	case S_IFSOCK:
		return "socket";
	default:
		return NULL;
	}
}

/* What is before the last slash: a path that ends in one must name a directory. */
static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;

	while (len > 1 && path[len - 1] == '/')
		len--;
	return slash ? strndup(path, len ? len : 1) : strdup(".");
}

static int check_directory(const char *directory, struct err *err)
{
	struct stat st;

	if (stat(directory, &st) == 0) {
		if (S_ISDIR(st.st_mode))
			return OK;
		errno = ENOTDIR;
	}
	fail_file(err, "stat", directory);
	return err_wrap(err, "invalid output path");
}

int output_file_check(const char *path, struct err *err)
{
	CLEANUP(freep) char *directory = directory_of(path);
	struct stat st;

	if (!directory)
		return fail_nomem(err);
	if (check_directory(directory, err) < 0)
		return err->code;
	if (lstat(path, &st) == 0)
		return kind_of(st.st_mode) ? fail(err, E_INVALID, "cannot write to a %s", kind_of(st.st_mode)) : OK;
	if (errno == ENOENT)
		return OK;
	fail_file(err, "stat", path);
	return err_wrap(err, "failed to stat output path");
}

/* Beside the file, so that the rename stays within one file system; never longer than a
 * name may be. */
static char *temporary_name(const char *path, int number)
{
	CLEANUP(freep) char *directory = directory_of(path);

	return directory ? format("%s/.imagectl.%d.%d", directory, (int)getpid(), number) : NULL;
}

/* By which a file without a name gets one. */
static const char *self_path(int fd, char out[64])
{
	snprintf(out, 64, "/proc/self/fd/%d", fd);
	return out;
}

/* Without a name, so that nothing is left whatever happens; else under a name of its
 * own. */
static int open_nameless(const char *path)
{
	CLEANUP(freep) char *directory = directory_of(path);
	CLEANUP(closep) int fd = directory ? open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, MODE) : -1;
	struct stat st;
	char self[64];

	return fd >= 0 && stat(self_path(fd, self), &st) == 0 ? take_fd(&fd) : -1;
}

static int open_named(struct output_file *f)
{
	for (int i = 0; i < NAMES_TRIED; i++) {
		CLEANUP(freep) char *name = temporary_name(f->path, i);
		int fd = name ? open(name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, MODE) : -1;

		if (fd >= 0) {
			f->temporary = TAKE(name);
			signals_remove_file(f->temporary);
			return fd;
		}
		if (errno != EEXIST)
			break;
	}
	return -1;
}

int output_file_open(const char *path, struct output_file *ret_file, struct err *err)
{
	CLEANUP(output_file_drop) struct output_file f = OUTPUT_FILE_INIT;

	f.shown = path;
	f.path = strdup(path);
	if (!f.path)
		return fail_nomem(err);
	f.fd = open_nameless(f.path);
	if (f.fd < 0)
		f.fd = open_named(&f);
	if (f.fd < 0)
		return fail_file(err, "create", path);
	*ret_file = f;
	f = (struct output_file)OUTPUT_FILE_INIT;
	return OK;
}

int output_file_write(struct output_file *f, const void *data, size_t len, struct err *err)
{
	for (const char *at = data; len;) {
		ssize_t n = write(f->fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_file(err, "write", f->shown);
		at += n;
		len -= (size_t)n;
	}
	return OK;
}

static int give_name(struct output_file *f, struct err *err)
{
	char self[64];

	for (int i = 0; i < NAMES_TRIED; i++) {
		CLEANUP(freep) char *name = temporary_name(f->path, i);

		if (!name)
			return fail_nomem(err);
		if (!linkat(AT_FDCWD, self_path(f->fd, self), AT_FDCWD, name, AT_SYMLINK_FOLLOW)) {
			f->temporary = TAKE(name);
			signals_remove_file(f->temporary);
			return OK;
		}
		if (errno != EEXIST)
			break;
	}
	return fail_file(err, "create", f->shown);
}

/* So that the new name lasts. A directory that may not be listed cannot be opened for
 * this, and some file systems do it for files only. */
static int sync_directory(const struct output_file *f, struct err *err)
{
	CLEANUP(freep) char *directory = directory_of(f->path);
	CLEANUP(closep) int fd = directory ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (!directory)
		return fail_nomem(err);
	if (fd < 0 ? errno != EACCES : fsync(fd) < 0 && errno != EINVAL)
		return fail_file(err, "sync", directory);
	return OK;
}

int output_file_finish(struct output_file *f, struct err *err)
{
	if (fsync(f->fd) < 0)
		return fail_file(err, "sync", f->shown);
	if (!f->temporary && give_name(f, err) < 0)
		return err->code;
	if (close(take_fd(&f->fd)) < 0)
		return fail_file(err, "write", f->shown);
	if (rename(f->temporary, f->path) < 0)
		return fail_file(err, "replace", f->shown);
	signals_remove_file(NULL);
	free(TAKE(f->temporary));
	return sync_directory(f, err);
}

void output_file_drop(struct output_file *f)
{
	closep(&f->fd);
	if (f->temporary) {
		unlink(f->temporary);
		signals_remove_file(NULL);
	}
	free(f->temporary);
	free(f->path);
	*f = (struct output_file)OUTPUT_FILE_INIT;
}

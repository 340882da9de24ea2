#include "client/cli/output_file.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "client/cli/cli.h"

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
		return "named pipe: save to standard output instead";
	case S_IFSOCK:
		return "socket";
	default:
		return NULL;
	}
}

int output_file_check(const char *path, struct err *err)
{
	CLEANUP(freep) char *copy = strdup(path);
	const char *directory;
	struct stat st;

	if (!copy)
		return fail_nomem(err);
	directory = dirname(copy);
	if (stat(directory, &st) < 0) {
		const char *why = errno == ENOENT ? "no such file or directory" : strerrordesc_np(errno);

		return fail(err, E_INVALID, "invalid output path: stat %s: %s", directory, why);
	}
	if (stat(path, &st) == 0 && kind_of(st.st_mode))
		return fail(err, E_INVALID, "cannot write to a %s", kind_of(st.st_mode));
	return OK;
}

/* "DIRECTORY/.NAME.PID.N" */
static char *temporary_name(const char *path, int number)
{
	const char *slash = strrchr(path, '/');
	int directory = slash ? (int)(slash + 1 - path) : 0;

	return format("%.*s.%s.%d.%d", directory, path, path + directory, (int)getpid(), number);
}

/* Without a name, so that nothing is left whatever happens; else under a name of its
 * own. */
static int open_nameless(const char *path)
{
	CLEANUP(freep) char *copy = strdup(path);

	return copy ? open(dirname(copy), O_TMPFILE | O_RDWR | O_CLOEXEC, MODE) : -1;
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

	f.path = realpath(path, NULL); /* a link stays one, and what it leads to is replaced */
	if (!f.path)
		f.path = strdup(path);
	if (!f.path)
		return fail_nomem(err);
	f.fd = open_nameless(f.path);
	if (f.fd < 0)
		f.fd = open_named(&f);
	if (f.fd < 0)
		return fail_errno(err, "create '%s'", path);
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
			return fail_errno(err, "write '%s'", f->path);
		at += n;
		len -= (size_t)n;
	}
	return OK;
}

static int give_name(struct output_file *f, struct err *err)
{
	char self[64];

	snprintf(self, sizeof self, "/proc/self/fd/%d", f->fd);
	for (int i = 0; i < NAMES_TRIED; i++) {
		CLEANUP(freep) char *name = temporary_name(f->path, i);

		if (!name)
			return fail_nomem(err);
		if (!linkat(AT_FDCWD, self, AT_FDCWD, name, AT_SYMLINK_FOLLOW)) {
			f->temporary = TAKE(name);
			signals_remove_file(f->temporary);
			return OK;
		}
		if (errno != EEXIST)
			break;
	}
	return fail_errno(err, "name '%s'", f->path);
}

int output_file_finish(struct output_file *f, struct err *err)
{
	if (!f->temporary && give_name(f, err) < 0)
		return err->code;
	if (close(take_fd(&f->fd)) < 0)
		return fail_errno(err, "write '%s'", f->path);
	if (rename(f->temporary, f->path) < 0)
		return fail_errno(err, "rename '%s' to '%s'", f->temporary, f->path);
	signals_remove_file(NULL);
	free(TAKE(f->temporary));
	return OK;
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

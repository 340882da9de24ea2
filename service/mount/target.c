#include "service/mount/target.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "service/mount/kernel_fs.h"

static int fail_open(struct err *err, const char *path)
{
	switch (errno) {
	case ENOENT:
		return fail(err, E_NOT_FOUND, "there is no directory '%s': make it first", path);
	case ENOTDIR:
		return fail(err, E_INVALID, "'%s' is not a directory", path);
	case EACCES:
		return fail(err, E_DENIED, "directory '%s': %s", path, strerrordesc_np(errno));
	default:
		return fail_errno(err, "directory '%s'", path);
	}
}

static bool is_within(const char *path, const char *directory)
{
	size_t len = strlen(directory);

	return !strncmp(path, directory, len) && (!path[len] || path[len] == '/');
}

static bool real_path(int fd, char out[PATH_MAX])
{
	char link[FD_PATH_MAX];
	ssize_t n = readlink(fd_path(fd, link), out, PATH_MAX - 1);

	if (n < 0)
		return false;
	out[n] = 0;
	return n < PATH_MAX - 1 && *out == '/';
}

static int check(const struct target *t, const char *root, struct err *err)
{
	CLEANUP(freep) char *real_root = realpath(root, NULL);
	struct stat st;

	if (fstat(t->fd, &st) < 0)
		return fail_errno(err, "directory '%s'", t->path);
	if (!st.st_nlink)
		return fail(err, E_NOT_FOUND, "directory '%s' has been removed just now", t->path);
	if (!strcmp(t->path, "/"))
		return fail(err, E_INVALID, "nothing can be mounted at '/': choose a directory of its own");
	if (real_root && (is_within(t->path, real_root) || is_within(real_root, t->path)))
		return fail(err, E_INVALID,
			    "'%s' and the service's root '%s' lie in each other: choose another directory", t->path,
			    real_root);
	return OK;
}

static int copy_text(struct bytes text, char out[PATH_MAX], struct err *err)
{
	if (!text.len || text.data[0] != '/' || memchr(text.data, 0, text.len))
		return fail(err, E_INVALID, "the directory to mount at must be an absolute path");
	if (text.len >= PATH_MAX)
		return fail(err, E_INVALID, "the path of the directory is longer than %d bytes", PATH_MAX - 1);
	memcpy(out, text.data, text.len);
	out[text.len] = 0;
	return OK;
}

int target_open(struct bytes text, const char *root, struct target *ret_target, struct err *err)
{
	CLEANUP(target_close) struct target t = TARGET_INIT;
	char path[PATH_MAX];

	if (copy_text(text, path, err) < 0)
		return err->code;
	t.fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (t.fd < 0)
		return fail_open(err, path);
	if (!real_path(t.fd, t.path))
		return fail(err, E_INVALID, "the path of directory '%s' cannot be told", path);
	if (check(&t, root, err) < 0)
		return err->code;
	*ret_target = t;
	t.fd = -1;
	return OK;
}

void target_close(struct target *t)
{
	closep(&t->fd);
	t->fd = -1;
}

void target_canonical(struct bytes text, char out[PATH_MAX])
{
	char path[PATH_MAX];
	CLEANUP(closep) int fd = -1;

	if (copy_text(text, path, NULL) < 0) {
		*out = 0;
		return;
	}
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || !real_path(fd, out))
		snprintf(out, PATH_MAX, "%s", path);
}

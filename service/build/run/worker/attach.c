#include "service/build/run/worker/attach.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "service/mount/fuse.h"
#include "service/mount/layer_way.h"

static void fd_path(int fd, char out[32])
{
	snprintf(out, 32, "/proc/self/fd/%d", fd);
}

/* The namespace has a copy of the mount that the descriptor is of, at the same path. */
static int reopen(int fd, int *ret_fd, struct err *err)
{
	char link[32], path[PATH_MAX];
	CLEANUP(closep) int again = -1;
	struct stat before, after;
	ssize_t n;

	fd_path(fd, link);
	n = readlink(link, path, sizeof path - 1);
	if (n < 0)
		return fail_errno(err, "find a directory of the step");
	path[n] = 0;
	again = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
	if (again < 0 || fstat(fd, &before) < 0 || fstat(again, &after) < 0)
		return fail_errno(err, "open '%s' again", path);
	if (before.st_dev != after.st_dev || before.st_ino != after.st_ino)
		return fail(err, E_IO, "'%s' is something else now", path);
	*ret_fd = take_fd(&again);
	return OK;
}

static int clone_tree(int fd)
{
	return open_tree(fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
}

int attach_prepare(int *fd, struct err *err)
{
	int tree = clone_tree(*fd);

	if (tree < 0)
		return fail_errno(err, "clone a mount for the step");
	close(*fd);
	*fd = tree;
	return OK;
}

static int place(int tree, const char *target, struct err *err)
{
	return move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0
		       ? fail_errno(err, "mount '%s' of the step", target)
		       : OK;
}

int attach_here(int fd, const char *target, struct err *err)
{
	CLEANUP(closep) int tree = clone_tree(fd);

	return tree < 0 ? fail_errno(err, "clone a mount for the step") : place(tree, target, err);
}

int attach_tree(int fd, bool is_prepared, const char *target, struct err *err)
{
	CLEANUP(closep) int again = -1;
	int rc;

	if (is_prepared)
		return place(fd, target, err);
	rc = reopen(fd, &again, err);
	return rc == OK ? attach_here(again, target, err) : rc;
}

static int mount_image(int fd, const char *target, struct err *err)
{
	CLEANUP(closep) int mount = -1;
	struct err why = ERR_INIT;

	if (layer_mount_file(fd, &mount, &why) != OK && layer_mount_loop(fd, &mount, err) != OK)
		return err_wrap(err, "mount a layer: not by file (%s), and not by loop device", why.text);
	return place(mount, target, err);
}

int attach_layer(int fd, bool is_prepared, const char *target, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return fail_errno(err, "look at a layer");
	if (!S_ISREG(st.st_mode))
		return attach_tree(fd, is_prepared, target, err);
	return is_prepared ? mount_image(fd, target, err) : fuse_mount_layer(fd, target, err);
}

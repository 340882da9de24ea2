#include "service/mount/kernel_fs.h"

#include <stdio.h>

enum { SAID_MAX = 256 };

char *fd_path(int fd, char out[FD_PATH_MAX])
{
	snprintf(out, FD_PATH_MAX, "/proc/self/fd/%d", fd);
	return out;
}

/* The kernel's own words, one message at a read: "e erofs: …", else those of errno. */
static int fail_fs(int fs, struct err *err, const char *what)
{
	char said[SAID_MAX];
	int number = errno;
	ssize_t n = fs < 0 ? -1 : read(fs, said, sizeof said - 1);

	if (number == EPERM || number == EACCES)
		return fail(err, E_DENIED, "%s: %s", what, strerrordesc_np(number));
	if (n <= 2)
		return fail(err, E_CANNOT_MOUNT, "%s: %s", what, strerrordesc_np(number));
	said[n] = 0;
	said[strcspn(said, "\n")] = 0;
	return fail(err, E_CANNOT_MOUNT, "%s: %s (%s)", what, strerrordesc_np(number), said + 2);
}

int kernel_fs_open(const char *type, int *ret_fs, struct err *err)
{
	*ret_fs = fsopen(type, FSOPEN_CLOEXEC);
	if (*ret_fs >= 0)
		return OK;
	if (errno == ENODEV)
		return fail(err, E_CANNOT_MOUNT, "the kernel has no file system '%s'", type);
	return fail_fs(-1, err, type);
}

int kernel_fs_text(int fs, const char *key, const char *value, struct err *err)
{
	return fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0) < 0 ? fail_fs(fs, err, key) : OK;
}

int kernel_fs_flag(int fs, const char *key, struct err *err)
{
	return fsconfig(fs, FSCONFIG_SET_FLAG, key, NULL, 0) < 0 ? fail_fs(fs, err, key) : OK;
}

int kernel_fs_fd(int fs, const char *key, int fd, struct err *err)
{
	return fsconfig(fs, FSCONFIG_SET_FD, key, NULL, fd) < 0 ? fail_fs(fs, err, key) : OK;
}

int kernel_fs_mount(int fs, unsigned attributes, int *ret_mount, struct err *err)
{
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return fail_fs(fs, err, "create the file system");
	*ret_mount = fsmount(fs, FSMOUNT_CLOEXEC, attributes);
	return *ret_mount < 0 ? fail_fs(fs, err, "mount the file system") : OK;
}

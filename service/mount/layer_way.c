#include "service/mount/layer_way.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "service/mount/kernel_fs.h"

enum { LOOP_TRIES = 64, LOOP_BLOCK = 4096, LOOP_NAME_MAX = 32 };

static int mount_erofs(const char *source, int *ret_mount, struct err *err)
{
	CLEANUP(closep) int fs = -1;

	if (kernel_fs_open("erofs", &fs, err) < 0 || kernel_fs_text(fs, "source", source, err) < 0 ||
	    kernel_fs_flag(fs, "ro", err) < 0)
		return err->code;
	return kernel_fs_mount(fs, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID, ret_mount, err);
}

int layer_mount_file(int image, int *ret_mount, struct err *err)
{
	char source[FD_PATH_MAX];

	return mount_erofs(fd_path(image, source), ret_mount, err);
}

/* ---- loop devices ------------------------------------------------------------- */

static int fail_loop(struct err *err, const char *what)
{
	int code = errno == EPERM || errno == EACCES ? E_DENIED : E_CANNOT_MOUNT;

	return fail(err, code, "%s: %s", what, strerrordesc_np(errno));
}

/* Direct I/O: the image's pages are not cached a second time below the device. */
static int configure(int device, int image)
{
	struct loop_config config = { .fd = (uint32_t)image, .block_size = LOOP_BLOCK };

	config.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO;
	return ioctl(device, LOOP_CONFIGURE, &config);
}

/* The device stays ours only once it is configured: another process may be faster. */
static int attach(int control, int image, char name[LOOP_NAME_MAX], int *ret_device, struct err *err)
{
	for (int i = 0; i < LOOP_TRIES; i++) {
		CLEANUP(closep) int device = -1;
		int number = ioctl(control, LOOP_CTL_GET_FREE);

		if (number < 0)
			return fail_loop(err, "find a free loop device");
		snprintf(name, LOOP_NAME_MAX, "/dev/loop%d", number);
		device = open(name, O_RDONLY | O_CLOEXEC);
		if (device < 0)
			return fail_loop(err, name);
		if (configure(device, image) == 0) {
			*ret_device = take_fd(&device);
			return OK;
		}
		if (errno != EBUSY)
			return fail_loop(err, name);
	}
	return fail(err, E_CANNOT_MOUNT, "no loop device stays free for long enough");
}

int layer_mount_loop(int image, int *ret_mount, struct err *err)
{
	CLEANUP(closep) int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	CLEANUP(closep) int device = -1;
	char name[LOOP_NAME_MAX];

	if (control < 0)
		return fail_loop(err, "/dev/loop-control");
	if (attach(control, image, name, &device, err) < 0)
		return err->code;
	return mount_erofs(name, ret_mount, err);
}

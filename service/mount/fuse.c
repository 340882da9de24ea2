#include "service/mount/fuse.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/vfs.h>

#include "proto/runtime/buf.h"
#include "service/mount/helper.h"

enum { OPTIONS_MAX = 4 * 1024 * 1024 };

/* erofsfuse says 0 whatever became of the mount. */
static int check_mounted(const char *path, const char *program, struct err *err)
{
	struct statfs st;

	if (statfs(path, &st) < 0)
		return fail_errno(err, "%s", path);
	if (st.f_type != FUSE_SUPER_MAGIC)
		return fail(err, E_CANNOT_MOUNT, "%s could not mount: is /dev/fuse there and open to this user?",
			    program);
	return OK;
}

/* One thread: what reads are there come from one overlay. */
int fuse_mount_layer(int image, const char *path, struct err *err)
{
	char source[32];
	const char *argv[] = { "erofsfuse", "-s", source, path, NULL };

	snprintf(source, sizeof source, "/proc/self/fd/%d", HELPER_GIFT_FD);
	if (helper_run(argv, image, err) < 0)
		return err->code;
	return check_mounted(path, "erofsfuse", err);
}

/* In its list of options ":" divides directories, "," options, and "\" takes their meaning. */
static void put_path(struct buf *b, const char *path)
{
	for (; *path; path++) {
		if (strchr(":,\\", *path))
			buf_putc(b, '\\');
		buf_putc(b, *path);
	}
}

int fuse_mount_overlay(const struct fuse_overlay *o, struct err *err)
{
	CLEANUP(buf_free) struct buf options = BUF_INIT(OPTIONS_MAX);
	const char *argv[] = { "fuse-overlayfs", "-o", NULL, o->target, NULL };

	buf_puts(&options, o->upper ? "rw" : "ro");
	buf_puts(&options, o->devices ? "" : ",nodev");
	buf_puts(&options, o->setuid ? "" : ",nosuid");
	for (size_t i = 0; i < o->n_layers; i++) {
		buf_puts(&options, i ? ":" : ",lowerdir=");
		put_path(&options, o->layers[i]);
	}
	if (o->upper) {
		buf_puts(&options, ",upperdir=");
		put_path(&options, o->upper);
		buf_puts(&options, ",workdir=");
		put_path(&options, o->work);
	}
	if (!buf_ok(&options))
		return fail_nomem(err);
	argv[2] = buf_text(&options);
	if (helper_run(argv, -1, err) < 0)
		return err->code;
	return check_mounted(o->target, "fuse-overlayfs", err);
}

static int fail_busy(const char *path, struct err *err)
{
	return fail(err, E_CONFLICT, "'%s' is in use: end what uses it, or unmount it when that ends (--lazy)", path);
}

/* `place` leads to the same as `path`, which is what people know. */
static int unmount(const char *place, const char *path, bool lazy, struct err *err)
{
	const char *argv[] = { "fusermount3", lazy ? "-uz" : "-u", "--", path, NULL };
	struct err why = ERR_INIT;

	if (umount2(place, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) == 0)
		return OK;
	if (errno == EBUSY)
		return fail_busy(path, err);
	if (errno != EPERM)
		return fail_errno(err, "unmount '%s'", path);
	if (helper_run(argv, -1, &why) == OK)
		return OK;
	return strstr(why.text, "busy") ? fail_busy(path, err)
					: fail(err, why.code, "unmount '%s': %s", path, why.text);
}

int unmount_at(const char *path, bool lazy, struct err *err)
{
	return unmount(path, path, lazy, err);
}

/* The mount that a name leads to, by what proc(5) says of a descriptor: stat(2) would ask a
 * program that serves it, and may hang. */
static bool is_number(int directory, const char *name, uint64_t mount_id)
{
	enum { INFO_MAX = 512 };
	static const char key[] = "mnt_id:";
	CLEANUP(closep) int fd = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	CLEANUP(closep) int info = -1;
	char path[64], text[INFO_MAX];
	const char *line;
	ssize_t n;

	if (fd < 0)
		return false;
	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
	info = open(path, O_RDONLY | O_CLOEXEC);
	n = info < 0 ? -1 : read(info, text, sizeof text - 1);
	if (n < 0)
		return false;
	text[n] = 0;
	line = strstr(text, key);
	return line && strtoull(line + strlen(key), NULL, 10) == mount_id;
}

/* A directory on which something is mounted cannot be renamed, so its parent is held. */
int unmount_number(const char *path, uint64_t mount_id, bool lazy, struct err *err)
{
	const char *slash = strrchr(path, '/');
	CLEANUP(freep) char *parent = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : NULL;
	CLEANUP(freep) char *place = NULL;
	CLEANUP(closep) int directory = -1;

	if (!parent)
		return fail_nomem(err);
	directory = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0 || !is_number(directory, slash + 1, mount_id))
		return fail(err, E_CONFLICT,
			    "the mount is not seen at '%s': something lies over it, or it is moved just now", path);
	place = format("/proc/self/fd/%d/%s", directory, slash + 1);
	return place ? unmount(place, path, lazy, err) : fail_nomem(err);
}

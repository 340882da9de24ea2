#include "service/mount/fuse.h"

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
	char *argv[] = { (char *)"erofsfuse", (char *)"-s", source, (char *)path, NULL };

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
	char *argv[] = { (char *)"fuse-overlayfs", (char *)"-o", NULL, (char *)o->target, NULL };

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
	argv[2] = (char *)buf_text(&options);
	if (helper_run(argv, -1, err) < 0)
		return err->code;
	return check_mounted(o->target, "fuse-overlayfs", err);
}

static int fail_busy(const char *path, struct err *err)
{
	return fail(err, E_CONFLICT, "'%s' is in use: end what uses it, or unmount it when that ends (--lazy)", path);
}

int unmount_at(const char *path, bool lazy, struct err *err)
{
	char *argv[] = { (char *)"fusermount3", (char *)(lazy ? "-uz" : "-u"), (char *)"--", (char *)path, NULL };
	struct err why = ERR_INIT;

	if (umount2(path, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) == 0)
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

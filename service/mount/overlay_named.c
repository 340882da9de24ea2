#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>

#include "proto/runtime/buf.h"
#include "service/mount/kernel_fs.h"
#include "service/mount/overlay.h"

enum { OPTIONS_MAX = 4096 - 1 }; /* a page, with its NUL */

/* A mount by a thread that has a working directory of its own. */
struct errand {
	const struct overlay_named *overlay;
	const char *options, *target;
	unsigned long flags;
	int number; /* an errno, or 0 */
};

static void *run(void *arg)
{
	struct errand *e = arg;

	if (unshare(CLONE_FS) < 0 || fchdir(e->overlay->directory) < 0 ||
	    mount(e->overlay->source, e->target, "overlay", e->flags, e->options) < 0)
		e->number = errno;
	return NULL;
}

static int send_thread(struct errand *e, struct err *err)
{
	pthread_t thread;
	int number = pthread_create(&thread, NULL, run, e);

	if (number) {
		errno = number;
		return fail_errno(err, "start a thread to mount with");
	}
	pthread_join(thread, NULL);
	if (e->number == EPERM || e->number == EACCES)
		return fail(err, E_DENIED, "overlay: %s", strerrordesc_np(e->number));
	return e->number ? fail(err, E_CANNOT_MOUNT, "overlay: %s", strerrordesc_np(e->number)) : OK;
}

/* The rules are those of overlay.c. */
int overlay_mount_named(const struct overlay_named *o, struct err *err)
{
	CLEANUP(buf_free) struct buf options = BUF_INIT(OPTIONS_MAX);
	char target[FD_PATH_MAX];
	struct errand e = { .overlay = o, .target = fd_path(o->target, target) };

	e.flags = (o->upper ? 0ul : MS_RDONLY) | (o->devices ? 0ul : MS_NODEV) | (o->setuid ? 0ul : MS_NOSUID);
	buf_puts(&options, "redirect_dir=nofollow,metacopy=off,index=off,xino=on");
	if (o->upper)
		buf_printf(&options, ",volatile,upperdir=%s,workdir=%s", o->upper, o->work);
	buf_printf(&options, ",lowerdir=%s", o->names);
	if (!buf_ok(&options))
		return fail(err, E_LIMIT, "the image has more layers than one mount takes on this kernel");
	e.options = buf_text(&options);
	return send_thread(&e, err);
}

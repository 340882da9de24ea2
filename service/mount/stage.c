#include "service/mount/stage.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "service/mount/fuse.h"

static int make(const char *path, struct err *err)
{
	return mkdir(path, 0700) < 0 && errno != EEXIST ? fail_errno(err, "make directory '%s'", path) : OK;
}

int stage_open(struct stage *s, const char *path, struct err *err)
{
	s->path = format("%s/l", path);
	s->n = 0;
	if (!s->path)
		return fail_nomem(err);
	return make(path, err) < 0 ? err->code : make(s->path, err);
}

int stage_next(struct stage *s, char **ret_path, struct err *err)
{
	CLEANUP(freep) char *path = format("%s/%zu", s->path, s->n);

	if (!path)
		return fail_nomem(err);
	if (make(path, err) < 0)
		return err->code;
	s->n++;
	*ret_path = TAKE(path);
	return OK;
}

int stage_place(struct stage *s, int mount, struct err *err)
{
	CLEANUP(freep) char *path = NULL;

	if (stage_next(s, &path, err) < 0)
		return err->code;
	if (move_mount(mount, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return fail_errno(err, "move a layer's mount to '%s'", path);
	return OK;
}

/* Mounted or not; what stays is in the way of nothing but its directory's removal. */
static void drop(const char *path)
{
	if (rmdir(path) == 0)
		return;
	unmount_at(path, true, NULL);
	rmdir(path);
}

void stage_close(struct stage *s)
{
	for (size_t i = 0; s->path && i < s->n; i++) {
		CLEANUP(freep) char *path = format("%s/%zu", s->path, i);

		if (path)
			drop(path);
	}
	if (s->path)
		rmdir(s->path);
	free(s->path);
	*s = (struct stage)STAGE_INIT;
}

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

void stage_clear(const char *path)
{
	CLEANUP(freep) char *top = format("%s/l", path);
	CLEANUP(closedirp) DIR *d = top ? opendir(top) : NULL;
	const struct dirent *e;

	while (d && (e = readdir(d))) {
		CLEANUP(freep) char *layer = *e->d_name == '.' ? NULL : format("%s/%s", top, e->d_name);

		if (layer)
			drop(layer);
	}
}

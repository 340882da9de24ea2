/* The devices of the host, for insecure steps. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "service/build/run/worker/spec.h"

enum { DEVICES_MAX = 2048, DEPTH_MAX = 4 };

struct listing {
	json_t *devices;
	char path[PATH_MAX];
};

/* What a step has of its own there, and what is no place for devices. */
static bool is_own(const char *path)
{
	static const char *const own[] = { "/dev/pts",	   "/dev/shm",	"/dev/mqueue", "/dev/fd",
					   "/dev/null",	   "/dev/zero", "/dev/full",   "/dev/random",
					   "/dev/urandom", "/dev/tty",	"/dev/ptmx",   "/dev/console" };

	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (!strcmp(path, own[i]))
			return true;
	return false;
}

static bool add_device(struct listing *l, const struct stat *st)
{
	json_t *device = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "path", l->path, "type",
				   S_ISBLK(st->st_mode) ? "b" : "c", "major", (json_int_t)major(st->st_rdev), "minor",
				   (json_int_t)minor(st->st_rdev), "fileMode", (json_int_t)(st->st_mode & 0777), "uid",
				   (json_int_t)st->st_uid, "gid", (json_int_t)st->st_gid);

	/* A name that is not UTF-8 is left out. */
	return !device || !json_array_append_new(l->devices, device);
}

static bool walk(struct listing *l, int parent, const char *name, unsigned depth);

static bool visit(struct listing *l, DIR *dir, const char *name, unsigned depth)
{
	size_t len = strlen(l->path);
	struct stat st;
	bool ok = true;

	if (snprintf(l->path + len, sizeof l->path - len, "/%s", name) < (int)(sizeof l->path - len) &&
	    !is_own(l->path) && !fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) &&
	    json_array_size(l->devices) < DEVICES_MAX) {
		if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
			ok = walk(l, dirfd(dir), name, depth + 1);
		else if (S_ISBLK(st.st_mode) || S_ISCHR(st.st_mode))
			ok = add_device(l, &st);
	}
	l->path[len] = 0;
	return ok;
}

static bool walk(struct listing *l, int parent, const char *name, unsigned depth)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	bool ok = true;

	if (!dir) {
		closep(&fd);
		return true; /* it is gone, or not for us */
	}
	while (ok && (e = readdir(dir)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			ok = visit(l, dir, e->d_name, depth);
	closedir(dir);
	return ok;
}

json_t *spec_devices(void)
{
	struct listing l = { .devices = json_array(), .path = "/dev" };

	if (l.devices && walk(&l, AT_FDCWD, "/dev", 0))
		return l.devices;
	json_decref(l.devices);
	return NULL;
}

/*
 * The end of what was written to a mount, however deep: of descriptors and of the stack it
 * takes what DEPTH_MAX directories in each other need. One that is deeper is moved to the
 * top first, where its turn comes later.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "service/mount/mounts_internal.h"
#include "service/mount/stage.h"

enum { DEPTH_MAX = 32, SECTOR = 512 };

struct removal {
	int top; /* ROOT/mounts/ID */
	unsigned moved;
	int64_t *freed;
};

static int remove_tree(struct removal *w, int parent, const char *name, unsigned depth, struct err *err);

static int move_up(struct removal *w, int directory, const char *name, struct err *err)
{
	char up[32];
	int r;

	do {
		snprintf(up, sizeof up, "deep-%u", w->moved++);
		r = renameat2(directory, name, w->top, up, RENAME_NOREPLACE);
	} while (r < 0 && errno == EEXIST); /* of a run that was cut off */
	return r < 0 ? fail_errno(err, "move '%s' of what was written", name) : OK;
}

/* A symlink's or a file's bytes count as the file system keeps them. */
static int remove_entry(struct removal *w, int directory, const char *name, unsigned depth, struct err *err)
{
	struct stat st;

	if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? OK : fail_errno(err, "'%s' of what was written", name);
	if (S_ISDIR(st.st_mode))
		return depth < DEPTH_MAX ? remove_tree(w, directory, name, depth + 1, err)
					 : move_up(w, directory, name, err);
	if (unlinkat(directory, name, 0) < 0 && errno != ENOENT)
		return fail_errno(err, "remove '%s' of what was written", name);
	if (st.st_nlink == 1)
		*w->freed += (int64_t)st.st_blocks * SECTOR;
	return OK;
}

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* `fd` becomes the directory's. */
static int remove_entries(struct removal *w, int fd, unsigned depth, struct err *err)
{
	CLEANUP(closedirp) DIR *d = fdopendir(fd);
	const struct dirent *e;
	int r = OK;

	if (!d) {
		close(fd);
		return fail_errno(err, "read a directory of what was written");
	}
	while (r == OK && (errno = 0, e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = remove_entry(w, dirfd(d), e->d_name, depth, err);
	return r == OK && errno ? fail_errno(err, "read a directory of what was written") : r;
}

/* Never into what is mounted there. */
static int open_below(int parent, const char *name)
{
	struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW,
				.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH };

	return (int)syscall(SYS_openat2, parent, name, &how, sizeof how);
}

/* NOLINTNEXTLINE(misc-no-recursion): at most DEPTH_MAX deep */
static int remove_tree(struct removal *w, int parent, const char *name, unsigned depth, struct err *err)
{
	int fd = open_below(parent, name), r;

	if (fd < 0)
		return errno == ENOENT ? OK : fail_errno(err, "open '%s' of what was written", name);
	r = remove_entries(w, fd, depth, err);
	if (r == OK && unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return fail_errno(err, "remove '%s' of what was written", name);
	return r;
}

/* Until nothing comes up any more. */
static int remove_all(struct removal *w, struct err *err)
{
	unsigned before;
	int r;

	do {
		int fd = open_below(w->top, ".");

		if (fd < 0)
			return fail_errno(err, "open the directory of what was written");
		before = w->moved;
		r = remove_entries(w, fd, 0, err);
	} while (r == OK && w->moved != before);
	return r;
}

char *mounts_path(struct mounts *m, const struct mount_id *id)
{
	char name[MOUNT_ID_TEXT_MAX];

	return format("%s/mounts/%s", store_root(m->store), mount_id_text(id, name));
}

int mounts_remove_directory(struct mounts *m, const struct mount_id *id, int64_t *freed, struct err *err)
{
	CLEANUP(freep) char *path = mounts_path(m, id);
	char name[MOUNT_ID_TEXT_MAX];
	CLEANUP(closep) int top = -1;
	struct removal w = { .freed = freed };
	int r;

	if (!path)
		return fail_nomem(err);
	stage_clear(path);
	top = open_below(m->directory, mount_id_text(id, name));
	if (top < 0)
		return errno == ENOENT ? OK : fail_errno(err, "open directory '%s'", path);
	w.top = top;
	r = remove_all(&w, err);
	if (r == OK && unlinkat(m->directory, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return fail_errno(err, "remove directory '%s'", path);
	return r;
}

#include "service/build/run/worker/stubs.h"

#include <fcntl.h>

enum { STUBS_MAX = 8192 };

struct stub {
	int parent;
	char name[NAME_MAX + 1];
	bool is_directory;
	ino_t inode;
	struct timespec before; /* the parent's mtime, as it was */
	struct timespec made;	/* and as the making left it */
};

void stubs_free(struct stubs *s)
{
	for (size_t i = 0; i < s->n; i++)
		close(s->all[i].parent);
	free(s->all);
	*s = (struct stubs)STUBS_INIT;
}

static struct stub *add(struct stubs *s)
{
	if (s->n == STUBS_MAX)
		return NULL;
	if (s->n == s->room) {
		size_t room = s->room ? 2 * s->room : 16;
		struct stub *all = reallocarray(s->all, room, sizeof *all);

		if (!all)
			return NULL;
		s->all = all;
		s->room = room;
	}
	return &s->all[s->n];
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* By way of /proc: times of an O_PATH descriptor itself can be set since Linux 5.8 only. */
static void set_mtime(int parent, struct timespec mtime)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, mtime };
	char path[32];

	snprintf(path, sizeof path, "/proc/self/fd/%d", parent);
	utimensat(AT_FDCWD, path, times, 0);
}

static void note(void *arg, int parent, const struct stat *before, const char *name, bool is_directory)
{
	struct stubs *s = arg;
	struct stub *stub = add(s);
	struct stat own, dir;

	s->failed = true;
	if (!stub || fstatat(parent, name, &own, AT_SYMLINK_NOFOLLOW) < 0 || fstat(parent, &dir) < 0)
		return;
	*stub = (struct stub){ .parent = fcntl(parent, F_DUPFD_CLOEXEC, 0),
			       .is_directory = is_directory,
			       .inode = own.st_ino,
			       .before = before->st_mtim,
			       .made = dir.st_mtim };
	if (stub->parent < 0)
		return;
	snprintf(stub->name, sizeof stub->name, "%s", name);
	s->failed = false;
	s->n++;
}

int stubs_make(struct stubs *s, int root, const char *path, bool is_directory, struct err *err)
{
	const struct in_root_made watch = { note, s };
	int rc = in_root_make(root, path, is_directory, &watch, err);

	if (rc == OK && s->failed)
		return fail(err, E_LIMIT, "the mount point '%s' cannot be kept in mind", path);
	return rc;
}

/* ---- removal ---------------------------------------------------------------------------- */

/* As it was made: an empty file, or a directory (which rmdir asks itself). */
static bool is_untouched(const struct stub *stub)
{
	struct stat st;

	return !fstatat(stub->parent, stub->name, &st, AT_SYMLINK_NOFOLLOW) && st.st_ino == stub->inode &&
	       (stub->is_directory ? S_ISDIR(st.st_mode) : S_ISREG(st.st_mode) && st.st_size == 0);
}

/* The directory keeps the time that the step gave it; where the step gave it none, it gets back
 * the one from before the stub. */
static void remove_one(const struct stub *stub)
{
	struct stat dir;

	if (!is_untouched(stub) || fstat(stub->parent, &dir) < 0)
		return;
	if (unlinkat(stub->parent, stub->name, stub->is_directory ? AT_REMOVEDIR : 0) < 0)
		return;
	set_mtime(stub->parent, same_time(dir.st_mtim, stub->made) ? stub->before : dir.st_mtim);
}

void stubs_remove(struct stubs *s)
{
	while (s->n) {
		struct stub *stub = &s->all[--s->n];

		remove_one(stub);
		close(stub->parent);
	}
}

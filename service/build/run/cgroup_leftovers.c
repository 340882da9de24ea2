#include "service/build/run/cgroup_leftovers.h"

#include <dirent.h>
#include <fcntl.h>

#include "proto/runtime/mem.h"
#include "service/build/run/worker/cgroup.h"
#include "service/build/run/worker/cgroup_limits.h"

static const char default_parent[] = "imaged";

/* Calls `each` for the v2 hierarchy and for all v1 ones with controllers. */
static void for_each_hierarchy(void (*each)(int root, void *arg), void *arg)
{
	char text[8192], *rest = text, *line;
	CLEANUP(closep) int unified = cgroup_open_hierarchy(NULL);

	if (unified >= 0)
		each(unified, arg);
	if (cgroup_read(AT_FDCWD, "/proc/self/cgroup", text, sizeof text) < 0)
		return;
	while ((line = strsep(&rest, "\n"))) {
		char *begin = strchr(line, ':'), *end = begin ? strchr(begin + 1, ':') : NULL;
		CLEANUP(closep) int root = -1;

		if (!end || end == begin + 1 || strchr(begin, '='))
			continue;
		*end = 0;
		root = cgroup_open_hierarchy(begin + 1);
		if (root >= 0)
			each(root, arg);
	}
}

static void remove_one(int root, void *path)
{
	cgroup_remove_at(root, path);
}

void cgroup_leftovers_remove(const char *parent, const char *id)
{
	char path[CGROUP_PATH_MAX];
	int n = snprintf(path, sizeof path, "%s/%s", parent ? parent : default_parent, id);

	if (geteuid() == 0 && n > 0 && (size_t)n < sizeof path)
		for_each_hierarchy(remove_one, path);
}

static void remove_made(int root, void *path)
{
	cgroup_remove_made(root, path);
}

void cgroup_leftovers_forget(const char *parent)
{
	if (geteuid() == 0)
		for_each_hierarchy(remove_made, (void *)parent);
}

struct sweep {
	const char *parent, *prefix;
	unsigned removed;
};

static void sweep_one(int root, void *arg)
{
	struct sweep *s = arg;
	int fd = openat(root, s->parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!dir) {
		closep(&fd);
		return;
	}
	while ((e = readdir(dir)))
		if (e->d_type == DT_DIR && e->d_name[0] != '.' && !strncmp(e->d_name, s->prefix, strlen(s->prefix)) &&
		    cgroup_remove_unused(dirfd(dir), e->d_name))
			s->removed++;
	closedir(dir);
}

unsigned cgroup_leftovers_sweep(const char *parent, const char *prefix)
{
	struct sweep s = { .parent = parent ? parent : default_parent, .prefix = prefix };

	if (geteuid() == 0)
		for_each_hierarchy(sweep_one, &s);
	return s.removed;
}

#include "service/build/run/worker/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "proto/runtime/clock.h"
#include "proto/runtime/mem.h"
#include "service/build/run/worker/cgroup_limits.h"
#include "service/build/run/worker/device_filter.h"

enum { REMOVE_PATIENCE_MS = 3000, DEPTH_MAX = 16, MAKE_TRIES = 16 };

/* On those that were made for steps, and not by the machine's owner. */
static const char made_mark[] = "trusted.imaged";

/* ---- hierarchies ---------------------------------------------------------------- */

static bool set_controllers(int context, const char *controllers)
{
	char copy[256], *rest = copy, *name;

	snprintf(copy, sizeof copy, "%s", controllers);
	while ((name = strsep(&rest, ",")))
		if (*name && fsconfig(context, FSCONFIG_SET_FLAG, name, NULL, 0) < 0)
			return false;
	return true;
}

/* Where it is mounted and can be written to. */
static int open_mounted(void)
{
	static const char *const places[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		CLEANUP(closep) int fd = open(places[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		struct statfs st;

		if (fd >= 0 && !fstatfs(fd, &st) && st.f_type == CGROUP2_SUPER_MAGIC && !(st.f_flags & ST_RDONLY))
			return take_fd(&fd);
	}
	return -1;
}

/* A mount of our own does everywhere else, but takes milliseconds to close. */
int cgroup_open_hierarchy(const char *controllers)
{
	int mounted = controllers ? -1 : open_mounted();
	CLEANUP(closep) int context = mounted < 0 ? fsopen(controllers ? "cgroup" : "cgroup2", FSOPEN_CLOEXEC) : -1;

	if (mounted >= 0)
		return mounted;
	if (context < 0 || (controllers && !set_controllers(context, controllers)) ||
	    fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	return fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

/* ---- make --------------------------------------------------------------------------- */

static int fail_cgroup(const struct cgroup *c, const char *what, struct err *err)
{
	return fail(err, E_UNSUPPORTED, "cgroup '%s': %s: %s", c->path, what, strerrordesc_np(errno));
}

static int make_directory(int parent, const char *name)
{
	bool made = mkdirat(parent, name, 0755) == 0;
	int fd = made || errno == EEXIST ? openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW) : -1;

	if (made && fd >= 0)
		fsetxattr(fd, made_mark, "", 0, 0);
	return fd;
}

/* The directories of the path, each in the one before. */
static int try_path(int root, const char *path, int *ret_dir)
{
	char copy[CGROUP_PATH_MAX], *rest = copy, *name;
	int at = openat(root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	snprintf(copy, sizeof copy, "%s", path);
	while (at >= 0 && (name = strsep(&rest, "/"))) {
		CLEANUP(closep) int parent = at;

		if (!*name) {
			at = take_fd(&parent);
			continue;
		}
		at = make_directory(parent, name);
	}
	*ret_dir = at;
	return at < 0 ? -1 : 0;
}

/* One that was there may be removed in between, with its last step. */
static int make_path(int root, const char *path, int *ret_dir)
{
	int r = -1;

	for (unsigned i = 0; r < 0 && i < MAKE_TRIES; i++) {
		r = try_path(root, path, ret_dir);
		if (r < 0 && errno != ENOENT && errno != ENODEV)
			break;
	}
	return r;
}

/* What another run left under this name goes first: its limits are not ours. */
static int make_place(struct cgroup *c, const char *controllers, struct cgroup_place *ret_place, struct err *err)
{
	CLEANUP(closep) int root = cgroup_open_hierarchy(controllers);
	CLEANUP(closep) int dir = -1;

	if (root < 0)
		return fail_cgroup(c, controllers ? "reach the hierarchy" : "reach the cgroup v2 hierarchy", err);
	cgroup_remove_unused(root, c->path);
	if (make_path(root, c->path, &dir) < 0)
		return fail_cgroup(c, "make it", err);
	if (flock(dir, LOCK_EX | LOCK_NB) < 0)
		return fail(err, E_CONFLICT, "cgroup '%s': another step has it", c->path);
	*ret_place = (struct cgroup_place){ take_fd(&root), take_fd(&dir), controllers != NULL };
	return OK;
}

static int add_v1(void *arg, const char *controllers, const struct cgroup_place **ret_place, struct err *err)
{
	struct cgroup *c = arg;
	int rc;

	if (c->n_v1 == CGROUP_V1_MAX)
		return fail(err, E_INTERNAL, "too many cgroup hierarchies");
	rc = make_place(c, controllers, &c->v1[c->n_v1], err);
	if (rc == OK)
		*ret_place = &c->v1[c->n_v1++];
	return rc;
}

int cgroup_make(const char *parent, const char *id, const Imaged__Run__RunLimits *limits, struct cgroup *c,
		struct err *err)
{
	struct cgroup_limits set = { .path = c->path, .unified = &c->unified, .add_v1 = add_v1, .arg = c };
	int n = snprintf(c->path, sizeof c->path, "%s/%s", parent, id), rc;

	if (n < 0 || (size_t)n >= sizeof c->path)
		return fail(err, E_INVALID, "a cgroup with a path of more than %zu bytes", sizeof c->path - 1);
	rc = make_place(c, NULL, &c->unified, err);
	if (rc == OK)
		rc = cgroup_limits_set(&set, limits, err);
	if (rc == OK)
		c->memory = set.memory;
	return rc;
}

int cgroup_restrict_devices(const struct cgroup *c, struct err *err)
{
	return device_filter_attach(c->unified.dir, err);
}

int cgroup_enter_v1(const struct cgroup *c, pid_t pid, struct err *err)
{
	char text[16];

	snprintf(text, sizeof text, "%d", pid);
	for (size_t i = 0; i < c->n_v1; i++)
		if (cgroup_write(c->v1[i].dir, "cgroup.procs", text) < 0)
			return fail_cgroup(c, "enter it", err);
	return OK;
}

/* ---- what it tells -------------------------------------------------------------------- */

/* The number behind a word at the beginning of a line; without a word, the first one. */
static int64_t read_number(int dir, const char *file, const char *word)
{
	char text[4096];
	const char *at = text;
	size_t len = word ? strlen(word) : 0;

	if (cgroup_read(dir, file, text, sizeof text) < 0)
		return 0;
	while (word && at && !(!strncmp(at, word, len) && at[len] == ' ')) {
		at = strchr(at, '\n');
		at = at ? at + 1 : NULL;
	}
	return at ? strtoll(at + len, NULL, 10) : 0;
}

void cgroup_read_usage(const struct cgroup *c, struct run_report *r)
{
	bool v1 = c->memory >= 0 && c->memory != c->unified.dir;

	r->cpu_us = read_number(c->unified.dir, "cpu.stat", "usage_usec");
	if (c->memory < 0)
		return;
	r->oom_kills = (int32_t)read_number(c->memory, v1 ? "memory.oom_control" : "memory.events", "oom_kill");
	r->memory_peak = read_number(c->memory, v1 ? "memory.max_usage_in_bytes" : "memory.peak", NULL);
}

/* ---- remove ----------------------------------------------------------------------------- */

/* Its own cgroups first: an insecure step may have made some. */
static void remove_children(int parent, const char *name, unsigned depth)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;

	if (!dir) {
		closep(&fd);
		return;
	}
	while (depth < DEPTH_MAX && (e = readdir(dir))) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		remove_children(dirfd(dir), e->d_name, depth + 1);
		unlinkat(dirfd(dir), e->d_name, AT_REMOVEDIR);
	}
	closedir(dir);
}

/* Until the kernel has let go of the last process. */
static void wait_for_change(int events, int64_t ms)
{
	struct pollfd wait = { .fd = events, .events = POLLPRI };
	char text[256];

	/* A read arms the next change. */
	if (pread(events, text, sizeof text, 0) >= 0)
		poll(&wait, 1, (int)ms);
}

bool cgroup_remove_at(int root, const char *path)
{
	int64_t until = clock_monotonic_ms() + REMOVE_PATIENCE_MS, left;
	CLEANUP(closep) int dir = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	CLEANUP(closep) int events = -1;

	if (dir < 0)
		return errno == ENOENT;
	cgroup_write(dir, "cgroup.kill", "1");
	events = openat(dir, "cgroup.events", O_RDONLY | O_CLOEXEC);
	for (;;) {
		if (!unlinkat(root, path, AT_REMOVEDIR) || errno == ENOENT)
			return true;
		left = until - clock_monotonic_ms();
		if (left <= 0)
			return false;
		remove_children(root, path, 0);
		wait_for_change(events, left < 50 ? left : 50);
	}
}

bool cgroup_remove_unused(int root, const char *path)
{
	CLEANUP(closep) int dir = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (dir < 0)
		return errno == ENOENT;
	return !flock(dir, LOCK_EX | LOCK_NB) && cgroup_remove_at(root, path);
}

void cgroup_remove_made(int root, const char *path)
{
	char copy[CGROUP_PATH_MAX], *slash = copy;

	snprintf(copy, sizeof copy, "%s", path);
	while (slash && *copy) {
		CLEANUP(closep) int dir = openat(root, copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

		if (dir < 0 || fgetxattr(dir, made_mark, NULL, 0) < 0 || unlinkat(root, copy, AT_REMOVEDIR) < 0)
			return;
		slash = strrchr(copy, '/');
		if (slash)
			*slash = 0;
	}
}

static void leave_place(const struct cgroup *c, struct cgroup_place *p)
{
	if (p->root >= 0) {
		cgroup_remove_at(p->root, c->path);
		close(p->root);
	}
	closep(&p->dir);
	*p = (struct cgroup_place){ -1, -1, false };
}

void cgroup_remove(struct cgroup *c)
{
	leave_place(c, &c->unified);
	while (c->n_v1)
		leave_place(c, &c->v1[--c->n_v1]);
	c->memory = -1;
}

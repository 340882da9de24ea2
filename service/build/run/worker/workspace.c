#include "service/build/run/worker/workspace.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "service/build/run/worker/attach.h"
#include "service/build/run/worker/remove_tree.h"

static int make_directory(const char *name, mode_t mode, struct err *err)
{
	return mkdir(name, mode) < 0 && errno != EEXIST ? fail_errno(err, "make '%s' for the step", name) : OK;
}

/* ---- the namespace ------------------------------------------------------------------- */

static int mount_ramfs(struct workspace *w, struct err *err)
{
	static const char *const names[] = { "lower", "lower/none", "lower/empty", "step",  "root",
					     "files", "trees",	    "bundle",	   "state", "view" };
	int rc = OK;

	if (mount("imaged-run", w->path, "ramfs", MS_NOSUID | MS_NODEV, "mode=0700") < 0)
		return fail_errno(err, "mount on '%s'", w->path);
	if (chdir(w->path) < 0)
		return fail_errno(err, "enter '%s'", w->path);
	for (size_t i = 0; rc == OK && i < ARRAY_LEN(names); i++)
		rc = make_directory(names[i], 0755, err);
	return rc;
}

/* crun looks at what is mounted there before anything else: in a mixture of v1 and v2 it
 * does not start (build.md 3.2). Of this cgroup namespace the step sees its own part. */
static int cover_cgroups(const struct workspace *w, struct err *err)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	int rc = mount("tmpfs", "/sys/fs/cgroup", "tmpfs", flags, "size=0,mode=755");

	/* Not at once: the kernel mounts no file system on itself, and most hosts have cgroup2 there. */
	if (rc == 0 && w->is_root)
		rc = mount("cgroup2", "/sys/fs/cgroup", "cgroup2", flags, NULL);
	return rc < 0 && errno != ENOENT ? fail_errno(err, "mount on /sys/fs/cgroup for the step") : OK;
}

void workspace_free(struct workspace *w)
{
	stack_layers_free(&w->layers);
	closep(&w->root);
}

int workspace_make(struct workspace *w, const char *path, bool is_root, struct err *err)
{
	int n = snprintf(w->path, sizeof w->path, "%s", path), rc;

	if (n < 0 || (size_t)n >= sizeof w->path)
		return fail(err, E_INVALID, "the workspace has a path that is too long");
	w->is_root = w->layers.is_root = is_root;
	/* The host's unmounts still reach us: no file system is held busy by a step. */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return fail_errno(err, "separate the mounts of the step");
	rc = mount_ramfs(w, err);
	if (rc == OK && mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		rc = fail_errno(err, "mount /proc for the step");
	return rc == OK ? cover_cgroups(w, err) : rc;
}

/* ---- root ------------------------------------------------------------------------------ */

/* An earlier step may have had it: a shell comes after the one that failed. The kernel takes no directory for
 * work that it was told not to sync (`volatile`) again. */
static int make_empty(const char *name, struct err *err)
{
	CLEANUP(closep) int fd = -1;

	if (mkdir(name, 0755) == 0)
		return OK;
	fd = errno == EEXIST ? open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	return fd < 0 ? fail_errno(err, "make '%s' for the step", name) : remove_tree_content(fd, err);
}

static int prepare_upper(const struct workspace *w, int directory, struct err *err)
{
	int rc = attach_tree(directory, w->is_root, "step", err);

	if (rc == OK)
		rc = stack_make_upper("step/upper", err);
	if (rc == OK)
		rc = make_empty("step/work", err);
	return rc == OK ? make_empty("step/scratch", err) : rc;
}

static int open_root(struct workspace *w, struct err *err)
{
	w->root = open("root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return w->root < 0 ? fail_errno(err, "open the root file system of the step") : OK;
}

int workspace_mount_root(struct workspace *w, int directory, const int *lowers, size_t n, struct err *err)
{
	static const struct stack_mount root = { .target = "root", .upper = "step/upper", .work = "step/work" };
	struct stack layers;
	int rc = stack_attach(&w->layers, lowers, n, &layers, err);

	if (rc == OK)
		rc = prepare_upper(w, directory, err);
	if (rc == OK)
		rc = stack_mount(&w->layers, &layers, &root, err);
	return rc == OK ? open_root(w, err) : rc;
}

int workspace_mount_lower(struct workspace *w, const int *lowers, size_t n, int *ret_fd, struct err *err)
{
	struct stack layers;
	int rc = stack_attach(&w->layers, lowers, n, &layers, err);

	*ret_fd = -1;
	if (rc != OK || !n)
		return rc;
	rc = stack_mount(&w->layers, &layers, &(struct stack_mount){ .target = "view" }, err);
	if (rc != OK)
		return rc;
	*ret_fd = open("view", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd < 0 ? fail_errno(err, "open the layers of the step") : OK;
}

int workspace_unmount_root(struct workspace *w, struct err *err)
{
	close(take_fd(&w->root));
	return umount2("root", MNT_DETACH) < 0 ? fail_errno(err, "unmount the root file system of the step") : OK;
}

/* ---- files -------------------------------------------------------------------------------- */

static int write_all(int fd, struct bytes content)
{
	while (content.len) {
		ssize_t n = write(fd, content.data, content.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		content = (struct bytes){ content.data + n, content.len - (size_t)n };
	}
	return 0;
}

int workspace_add_file(const char *name, struct bytes content, uint32_t mode, uint32_t uid, uint32_t gid,
		       struct err *err)
{
	char path[WORKSPACE_NAME_MAX];
	CLEANUP(closep) int fd = -1;

	snprintf(path, sizeof path, "files/%s", name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write_all(fd, content) < 0)
		return fail_errno(err, "write '%s' for the step", path);
	if ((uid || gid) && fchown(fd, uid, gid) < 0)
		return fail(err, E_UNSUPPORTED, "a file of the step cannot belong to %u:%u: %s", uid, gid,
			    errno == EINVAL ? "the user namespace of this daemon has no such id"
					    : strerrordesc_np(errno));
	return fchmod(fd, mode & 07777) < 0 ? fail_errno(err, "set the mode of '%s'", path) : OK;
}

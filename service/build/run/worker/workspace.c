#include "service/build/run/worker/workspace.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "service/build/run/worker/attach.h"

enum { OPTIONS_MAX = 4096 }; /* mount(2) takes one page */

static int make_directory(const char *name, mode_t mode, struct err *err)
{
	return mkdir(name, mode) < 0 && errno != EEXIST ? fail_errno(err, "make '%s' for the step", name) : OK;
}

/* ---- the namespace ------------------------------------------------------------------- */

static int mount_ramfs(struct workspace *w, struct err *err)
{
	static const char *const names[] = {
		"lower", "lower/none", "step", "root", "files", "bundle", "state", "view"
	};
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
	int rc = w->is_root ? mount("cgroup2", "/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL)
			    : mount("tmpfs", "/sys/fs/cgroup", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
				    "size=0,mode=755");

	return rc < 0 && errno != ENOENT ? fail_errno(err, "mount on /sys/fs/cgroup for the step") : OK;
}

int workspace_make(struct workspace *w, const char *path, bool is_root, struct err *err)
{
	int n = snprintf(w->path, sizeof w->path, "%s", path), rc;

	if (n < 0 || (size_t)n >= sizeof w->path)
		return fail(err, E_INVALID, "the workspace has a path that is too long");
	w->is_root = is_root;
	/* The host's unmounts still reach us: no file system is held busy by a step. */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return fail_errno(err, "separate the mounts of the step");
	rc = mount_ramfs(w, err);
	if (rc == OK && mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		rc = fail_errno(err, "mount /proc for the step");
	return rc == OK ? cover_cgroups(w, err) : rc;
}

/* ---- layers ---------------------------------------------------------------------------- */

static int attach_layers(const struct workspace *w, const int *lowers, size_t n, struct err *err)
{
	char name[WORKSPACE_NAME_MAX];
	int rc = OK;

	for (size_t i = 0; rc == OK && i < n; i++) {
		snprintf(name, sizeof name, "lower/%zu", i);
		rc = make_directory(name, 0755, err);
		if (rc == OK)
			rc = attach_layer(lowers[i], w->is_root, name, err);
	}
	return rc;
}

/* Names that are relative to lower/ keep 500 layers within the page. */
static void put_lowerdir(size_t n, char out[OPTIONS_MAX])
{
	size_t at = (size_t)snprintf(out, OPTIONS_MAX, "lowerdir=");

	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(out + at, OPTIONS_MAX - at, "%zu:", i);
	snprintf(out + at, OPTIONS_MAX - at, "none");
}

/* The overlay's root directory is upper's: it has to look like that of the layers. */
static int copy_root_attributes(bool has_layers, struct err *err)
{
	struct stat st = { .st_mode = 0755 };

	if (has_layers && stat("lower/0", &st) < 0)
		return fail_errno(err, "look at the uppermost layer");
	if (chown("step/upper", st.st_uid, st.st_gid) < 0 && errno != EINVAL && errno != EPERM)
		return fail_errno(err, "set the owner of the root directory");
	if (chmod("step/upper", st.st_mode & 07777) < 0)
		return fail_errno(err, "set the mode of the root directory");
	if (has_layers && utimensat(AT_FDCWD, "step/upper", (struct timespec[]){ st.st_atim, st.st_mtim }, 0) < 0)
		return fail_errno(err, "set the time of the root directory");
	return OK;
}

static int prepare_upper(const struct workspace *w, int directory, bool has_layers, struct err *err)
{
	static const char *const names[] = { "step/upper", "step/work", "step/scratch" };
	bool is_new;
	int rc = attach_tree(directory, w->is_root, "step", err);

	if (rc != OK)
		return rc;
	is_new = mkdir("step/upper", 0755) == 0;
	for (size_t i = 0; rc == OK && i < ARRAY_LEN(names); i++)
		rc = make_directory(names[i], 0755, err);
	return rc == OK && is_new ? copy_root_attributes(has_layers, err) : rc;
}

/* `lower/` has to be the working directory for its short names. `volatile`: the kernel need not sync
 * an upper that is thrown away after a crash anyway. */
static int mount_overlay(const char *target, unsigned long flags, const char *options, struct err *err)
{
	int rc = -1;

	if (chdir("lower") < 0)
		return fail_errno(err, "enter the layers");
	rc = mount("imaged-run", target, "overlay", flags, options);
	if (rc < 0)
		fail_errno(err, "mount the layers of the step over one another");
	if (chdir("..") < 0)
		return fail_errno(err, "leave the layers");
	return rc < 0 ? err->code : OK;
}

static int overlay_root(struct workspace *w, size_t n, struct err *err)
{
	/* A directory that is renamed must be copied, or its layer could not be told as a tar; and no
	 * layer sends us elsewhere by xattrs of its own. */
	static const char features[] = "redirect_dir=nofollow,metacopy=off,index=off";
	char options[OPTIONS_MAX], lowerdir[OPTIONS_MAX];
	int len, rc;

	put_lowerdir(n, lowerdir);
	len = snprintf(options, sizeof options, "%s,upperdir=../step/upper,workdir=../step/work,%s%s,volatile",
		       lowerdir, w->is_root ? features : "userxattr", "");
	if (len < 0 || (size_t)len >= sizeof options)
		return fail(err, E_LIMIT, "%zu layers are more than one mount can have", n);
	rc = mount_overlay("../root", 0, options, err);
	if (rc == OK)
		return OK;
	options[len - (int)strlen(",volatile")] = 0; /* Linux before 5.10 */
	return mount_overlay("../root", 0, options, err);
}

static int open_root(struct workspace *w, struct err *err)
{
	w->root = open("root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return w->root < 0 ? fail_errno(err, "open the root file system of the step") : OK;
}

int workspace_mount_root(struct workspace *w, int directory, const int *lowers, size_t n, struct err *err)
{
	int rc = attach_layers(w, lowers, n, err);

	if (rc == OK)
		rc = prepare_upper(w, directory, n > 0, err);
	if (rc == OK)
		rc = overlay_root(w, n, err);
	return rc == OK ? open_root(w, err) : rc;
}

int workspace_mount_lower(struct workspace *w, const int *lowers, size_t n, int *ret_fd, struct err *err)
{
	char options[OPTIONS_MAX];
	int rc = n ? attach_layers(w, lowers, n, err) : OK;

	*ret_fd = -1;
	if (rc != OK || !n)
		return rc;
	put_lowerdir(n, options);
	strncat(options, w->is_root ? ",redirect_dir=nofollow,metacopy=off" : ",userxattr",
		sizeof options - strlen(options) - 1);
	rc = mount_overlay("../view", MS_RDONLY, options, err);
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

/* ---- sources of mounts ---------------------------------------------------------------------- */

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

/* What a writable bind mount is told goes into the scratch directory, and with it. */
static int cover_writable(const struct workspace *w, const char *name, size_t number, struct err *err)
{
	char upper[WORKSPACE_NAME_MAX], work[WORKSPACE_NAME_MAX], options[OPTIONS_MAX];
	struct stat st;
	int rc;

	snprintf(upper, sizeof upper, "step/scratch/upper%zu", number);
	snprintf(work, sizeof work, "step/scratch/work%zu", number);
	rc = make_directory(upper, 0755, err);
	if (rc == OK)
		rc = make_directory(work, 0755, err);
	if (rc != OK)
		return rc;
	if (stat(name, &st) < 0 || chmod(upper, st.st_mode & 07777) < 0)
		return fail_errno(err, "look at the source of a mount");
	if (chown(upper, st.st_uid, st.st_gid) < 0 && errno != EINVAL && errno != EPERM)
		return fail_errno(err, "set the owner of a mount");
	snprintf(options, sizeof options, "lowerdir=%s:lower/none,upperdir=%s,workdir=%s%s", name, upper, work,
		 w->is_root ? "" : ",userxattr");
	return mount("imaged-run", name, "overlay", MS_NOSUID | MS_NODEV, options) < 0
		       ? fail_errno(err, "make a bind mount writable")
		       : OK;
}

static int copy_file(int from, int to, struct err *err)
{
	char piece[64 << 10];

	for (;;) {
		ssize_t n = read(from, piece, sizeof piece);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? fail_errno(err, "read the source of a mount") : OK;
		if (write_all(to, (struct bytes){ (const uint8_t *)piece, (size_t)n }) < 0)
			return fail_errno(err, "copy the source of a mount");
	}
}

/* A writable file is a copy. */
static int copy_writable(const char *name, size_t number, struct err *err)
{
	char copy[WORKSPACE_NAME_MAX];
	CLEANUP(closep) int from = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	CLEANUP(closep) int to = -1;
	struct stat st;
	int rc;

	snprintf(copy, sizeof copy, "step/scratch/file%zu", number);
	to = open(copy, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (from < 0 || to < 0 || fstat(from, &st) < 0)
		return fail_errno(err, "copy the source of a mount");
	rc = copy_file(from, to, err);
	if (rc == OK && fchmod(to, st.st_mode & 07777) < 0)
		return fail_errno(err, "set the mode of a mount");
	return rc == OK ? attach_tree(to, false, name, err) : rc;
}

static int add_tree(struct workspace *w, size_t number, bool discard, int source, struct err *err)
{
	char name[WORKSPACE_NAME_MAX];
	CLEANUP(closep) int file = -1;
	struct stat st;
	int rc;

	snprintf(name, sizeof name, "files/%zu", number);
	if (fstat(source, &st) < 0)
		return fail_errno(err, "look at the source of a mount");
	if (S_ISDIR(st.st_mode)) {
		rc = make_directory(name, 0755, err);
	} else {
		file = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		rc = file < 0 ? fail_errno(err, "make '%s'", name) : OK;
	}
	if (rc == OK)
		rc = attach_tree(source, w->is_root, name, err);
	if (rc != OK || !discard)
		return rc;
	return S_ISDIR(st.st_mode) ? cover_writable(w, name, number, err) : copy_writable(name, number, err);
}

int workspace_add_source(struct workspace *w, size_t number, const Imaged__Run__RunMount *m, int source,
			 struct err *err)
{
	char name[WORKSPACE_NAME_MAX];

	switch (m->kind) {
	case IMAGED__RUN__RUN_MOUNT_KIND__RUN_MOUNT_FILE:
		snprintf(name, sizeof name, "%zu", number);
		return workspace_add_file(name, (struct bytes){ m->content.data, m->content.len }, m->mode, m->uid,
					  m->gid, err);
	case IMAGED__RUN__RUN_MOUNT_KIND__RUN_MOUNT_BIND:
		return add_tree(w, number, m->writable, source, err);
	case IMAGED__RUN__RUN_MOUNT_KIND__RUN_MOUNT_CACHE:
	case IMAGED__RUN__RUN_MOUNT_KIND__RUN_MOUNT_SOCKET:
		return add_tree(w, number, false, source, err);
	default:
		return OK;
	}
}

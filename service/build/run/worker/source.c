#include "service/build/run/worker/source.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "service/build/run/worker/attach.h"
#include "service/build/run/worker/copy_tree.h"
#include "service/build/run/worker/in_root.h"

enum { OPTIONS_MAX = 4 * WORKSPACE_NAME_MAX + 64 };

static void name_of(char out[WORKSPACE_NAME_MAX], const char *folder, size_t number)
{
	snprintf(out, WORKSPACE_NAME_MAX, "%s%zu", folder, number);
}

static int make_directory(const char *name, struct err *err)
{
	return mkdir(name, 0755) < 0 ? fail_errno(err, "make '%s' for the step", name) : OK;
}

/* Something to mount on, of the kind that is mounted. */
static int make_place(const char *name, bool is_directory, struct err *err)
{
	CLEANUP(closep) int file = -1;

	if (is_directory)
		return make_directory(name, err);
	file = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return file < 0 ? fail_errno(err, "make '%s' for the step", name) : OK;
}

/* ---- of a descriptor ------------------------------------------------------------- */

static int cover_writable(const struct workspace *w, const char *name, size_t number, struct err *err)
{
	char upper[WORKSPACE_NAME_MAX], work[WORKSPACE_NAME_MAX], options[OPTIONS_MAX];
	struct stat st;
	int rc;

	name_of(upper, "step/scratch/upper", number);
	name_of(work, "step/scratch/work", number);
	rc = make_directory(upper, err);
	if (rc == OK)
		rc = make_directory(work, err);
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

/* A writable file is a copy. */
static int copy_writable(const char *name, size_t number, struct err *err)
{
	char copy[WORKSPACE_NAME_MAX];
	CLEANUP(closep) int from = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	CLEANUP(closep) int to = -1;
	struct stat st;
	int rc;

	name_of(copy, "step/scratch/file", number);
	to = open(copy, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (from < 0 || to < 0 || fstat(from, &st) < 0)
		return fail_errno(err, "copy the source of a mount");
	rc = copy_file_bytes(from, to, err);
	if (rc == OK && fchmod(to, st.st_mode & 07777) < 0)
		return fail_errno(err, "set the mode of a mount");
	return rc == OK ? attach_tree(to, false, name, err) : rc;
}

static int add_lent(const struct workspace *w, const struct source *s, bool discard, struct err *err)
{
	char name[WORKSPACE_NAME_MAX];
	struct stat st;
	int rc;

	name_of(name, "files/", s->number);
	if (fstat(s->fd, &st) < 0)
		return fail_errno(err, "look at the source of a mount");
	rc = make_place(name, S_ISDIR(st.st_mode), err);
	if (rc == OK)
		rc = attach_tree(s->fd, w->is_root, name, err);
	if (rc != OK || !discard)
		return rc;
	return S_ISDIR(st.st_mode) ? cover_writable(w, name, s->number, err) : copy_writable(name, s->number, err);
}

/* ---- of a tree ------------------------------------------------------------------------- */

/* The tree itself is what is written to: an overlay over a part of it would be one too many above each
 * other for the kernel. */
static int mount_tree(struct workspace *w, const struct source *s, bool writable, int *ret_root, struct err *err)
{
	char name[WORKSPACE_NAME_MAX], upper[WORKSPACE_NAME_MAX], work[WORKSPACE_NAME_MAX];
	struct stack_mount m = { .target = name, .flags = MS_NOSUID | MS_NODEV };
	struct stack layers;
	int rc = stack_attach(&w->layers, s->layers, s->mount->layers, &layers, err);

	name_of(name, "trees/", s->number);
	name_of(upper, "step/scratch/upper", s->number);
	name_of(work, "step/scratch/work", s->number);
	if (rc == OK)
		rc = make_directory(name, err);
	if (rc == OK && writable) {
		m.upper = upper;
		m.work = work;
		rc = stack_make_upper(upper, err);
		if (rc == OK)
			rc = make_directory(work, err);
	}
	if (rc == OK)
		rc = stack_mount(&w->layers, &layers, &m, err);
	if (rc != OK)
		return rc;
	*ret_root = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return *ret_root < 0 ? fail_errno(err, "open the tree of a mount") : OK;
}

/* The part that is asked for. */
static int open_part(struct workspace *w, const struct source *s, bool writable, int *ret_fd, struct err *err)
{
	CLEANUP(closep) int root = -1;
	char path[PATH_MAX];
	int rc = mount_tree(w, s, writable, &root, err);

	if (rc != OK)
		return rc;
	snprintf(path, sizeof path, "%.*s", (int)s->mount->path.len, (const char *)s->mount->path.data);
	*ret_fd = in_root_open(root, path, O_PATH);
	if (*ret_fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return fail(err, E_NOT_FOUND, "\"%.512s\": not found", path);
	return *ret_fd < 0 ? fail_errno(err, "open \"%.512s\" for a mount", path) : OK;
}

static int add_part(struct workspace *w, const struct source *s, struct err *err)
{
	CLEANUP(closep) int part = -1;
	char name[WORKSPACE_NAME_MAX];
	struct stat st;
	int rc = open_part(w, s, s->mount->writable, &part, err);

	if (rc != OK)
		return rc;
	if (fstat(part, &st) < 0)
		return fail_errno(err, "look at the source of a mount");
	name_of(name, "files/", s->number);
	rc = make_place(name, S_ISDIR(st.st_mode), err);
	return rc == OK ? attach_here(part, name, err) : rc;
}

/* ---- a cache ---------------------------------------------------------------------------- */

static int fill(struct workspace *w, const struct source *s, struct err *err)
{
	CLEANUP(closep) int part = -1;
	CLEANUP(closep) int to = -1;
	char name[WORKSPACE_NAME_MAX];
	int rc = open_part(w, s, false, &part, err);

	if (rc != OK)
		return rc;
	name_of(name, "files/", s->number);
	to = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (to < 0)
		return fail_errno(err, "open the directory of a cache mount");
	rc = copy_tree(part, to, err);
	return rc == OK ? OK
			: err_wrap(err, "fill the cache mount at '%.*s'", (int)s->mount->target.len,
				   (const char *)s->mount->target.data);
}

static int add_cache(struct workspace *w, const struct source *s, struct err *err)
{
	int rc = add_lent(w, s, false, err);

	return rc == OK && s->mount->has_tree ? fill(w, s, err) : rc;
}

int source_add(struct workspace *w, const struct source *s, struct err *err)
{
	const Imaged__Run__RunMount *m = s->mount;
	char name[WORKSPACE_NAME_MAX];

	switch (m->kind) {
	case IMAGED__RUN__RUN_MOUNT_KIND__RUN_MOUNT_FILE:
		name_of(name, "", s->number);
		return workspace_add_file(name, (struct bytes){ m->content.data, m->content.len }, m->mode, m->uid,
					  m->gid, err);
	case IMAGED__RUN__RUN_MOUNT_KIND__RUN_MOUNT_BIND:
		return m->has_tree ? add_part(w, s, err) : add_lent(w, s, m->writable, err);
	case IMAGED__RUN__RUN_MOUNT_KIND__RUN_MOUNT_CACHE:
		return add_cache(w, s, err);
	case IMAGED__RUN__RUN_MOUNT_KIND__RUN_MOUNT_SOCKET:
		return add_lent(w, s, false, err);
	default:
		return OK;
	}
}

/*
 * What stands in the kernel against what is on record.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "service/mount/fuse.h"
#include "service/mount/mountinfo.h"
#include "service/mount/mounts_internal.h"
#include "service/mount/stage.h"

char *mount_source(const struct mount_id *id, char out[MOUNT_SOURCE_MAX])
{
	char text[MOUNT_ID_TEXT_MAX];

	snprintf(out, MOUNT_SOURCE_MAX, "imaged:%s", mount_id_text(id, text));
	return out;
}

/* ---- where it stands ---------------------------------------------------------------- */

struct finding {
	const struct mount_entry *entry;
	char *point; /* PATH_MAX */
	bool covered;
};

static bool bytes_are(struct bytes b, const char *text)
{
	return b.len == strlen(text) && !memcmp(b.data, text, b.len);
}

static bool bytes_eq(struct bytes a, struct bytes b)
{
	return a.len == b.len && !memcmp(a.data, b.data, a.len);
}

static bool source_is(struct bytes source, const struct mount_id *wanted)
{
	static const char prefix[] = "imaged:";
	size_t len = sizeof prefix - 1;
	struct mount_id id;

	return source.len > len && !memcmp(source.data, prefix, len) &&
	       mount_id_parse((struct bytes){ source.data + len, source.len - len }, &id) && mount_id_eq(&id, wanted);
}

/* fuse-overlayfs does not take the name of a source: there the directory has to do. */
static bool is_ours(const struct mount_entry *e, const struct mountinfo_line *line)
{
	ProtobufCBinaryData target = e->record->target;

	if (source_is(line->source, &e->id))
		return true;
	return e->record->way == IMAGED__V1__MOUNT_WAY__MOUNT_WAY_FUSE &&
	       bytes_are(line->type, "fuse.fuse-overlayfs") &&
	       bytes_eq(line->point, (struct bytes){ target.data, target.len });
}

static int look_at(void *arg, const struct mountinfo_line *line)
{
	struct finding *f = arg;

	if (is_ours(f->entry, line) && line->point.len < PATH_MAX) {
		memcpy(f->point, line->point.data, line->point.len);
		f->point[line->point.len] = 0;
		f->covered = false;
	} else if (*f->point && bytes_are(line->point, f->point)) {
		f->covered = true; /* later ones at the same place lie on top */
	}
	return OK;
}

int mounts_find(const struct mount_entry *e, char ret_point[PATH_MAX], bool *ret_covered, struct err *err)
{
	struct finding f = { .entry = e, .point = ret_point };
	int r;

	*ret_point = 0;
	r = mountinfo_read(look_at, &f, err);
	*ret_covered = f.covered;
	return r;
}

struct census {
	const struct mount_entry *entries;
	size_t n;
	bool *stands;
};

static int count(void *arg, const struct mountinfo_line *line)
{
	struct census *c = arg;

	if (!bytes_are(line->type, "overlay") && !bytes_are(line->type, "fuse.fuse-overlayfs"))
		return OK;
	for (size_t i = 0; i < c->n; i++)
		c->stands[i] = c->stands[i] || is_ours(&c->entries[i], line);
	return OK;
}

int mounts_standing(const struct mount_entry *entries, size_t n, struct arena *arena, bool **ret_stands,
		    struct err *err)
{
	struct census c = { .entries = entries, .n = n, .stands = arena_array(arena, n + 1, sizeof(bool)) };

	if (!c.stands)
		return fail_nomem(err);
	*ret_stands = c.stands;
	return n ? mountinfo_read(count, &c, err) : OK;
}

/* ---- what was written ----------------------------------------------------------------- */

static int remove_tree(int parent, const char *name, int64_t *freed, struct err *err);

/* A symlink's or a file's bytes count as the file system keeps them. */
static int remove_entry(int directory, const char *name, int64_t *freed, struct err *err)
{
	enum { SECTOR = 512 };
	struct stat st;

	if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? OK : fail_errno(err, "'%s' of what was written", name);
	if (S_ISDIR(st.st_mode))
		return remove_tree(directory, name, freed, err);
	if (unlinkat(directory, name, 0) < 0 && errno != ENOENT)
		return fail_errno(err, "remove '%s' of what was written", name);
	if (st.st_nlink == 1)
		*freed += (int64_t)st.st_blocks * SECTOR;
	return OK;
}

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

static int remove_entries(int directory, int64_t *freed, struct err *err)
{
	CLEANUP(closedirp) DIR *d = fdopendir(directory);
	const struct dirent *e;
	int r = OK;

	if (!d) {
		close(directory);
		return fail_errno(err, "read a directory of what was written");
	}
	while (r == OK && (errno = 0, e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = remove_entry(dirfd(d), e->d_name, freed, err);
	return r == OK && errno ? fail_errno(err, "read a directory of what was written") : r;
}

/* Never into what is mounted there. */
static int open_below(int parent, const char *name)
{
	struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW,
				.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH };

	return (int)syscall(SYS_openat2, parent, name, &how, sizeof how);
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as what was written */
static int remove_tree(int parent, const char *name, int64_t *freed, struct err *err)
{
	int fd = open_below(parent, name), r;

	if (fd < 0)
		return errno == ENOENT ? OK : fail_errno(err, "open '%s' of what was written", name);
	r = remove_entries(fd, freed, err);
	if (r == OK && unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return fail_errno(err, "remove '%s' of what was written", name);
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

	if (!path)
		return fail_nomem(err);
	stage_clear(path);
	return remove_tree(m->directory, mount_id_text(id, name), freed, err);
}

/* ---- taking down ------------------------------------------------------------------------ */

/* All of it: it may have been bound to other places, too. */
static int detach(const struct mount_entry *e, struct err *err)
{
	char point[PATH_MAX];
	bool covered;

	for (;;) {
		if (mounts_find(e, point, &covered, err) < 0)
			return err ? err->code : E_IO;
		if (!*point)
			return OK;
		if (unmount_at(point, true, err) < 0)
			return err ? err->code : E_IO;
	}
}

int mounts_drop(struct mounts *m, const struct mount_entry *e, int64_t *ret_freed, struct err *err)
{
	int64_t freed = 0, content = 0;
	int r = detach(e, err);

	layer_cache_release(&m->layers, &e->id);
	if (r == OK)
		r = mounts_remove_directory(m, &e->id, &freed, err);
	if (r == OK)
		r = mount_record_end(m->store, &e->id, &content, err);
	*ret_freed = freed + content;
	return r;
}

/* Of a record that nobody works on, as it is now: what is committed and stands stays. */
static int tidy_one(struct mounts *m, const struct mount_id *id, struct arena *arena, struct err *err)
{
	struct mount_entry now;
	char point[PATH_MAX];
	int64_t freed;
	bool covered;
	int r = mount_record_get(m->store, id, arena, &now, err);

	if (r == OK)
		r = mounts_find(&now, point, &covered, err);
	if (r != OK)
		return r == E_NOT_FOUND ? OK : r;
	return *point && now.record->committed ? OK : mounts_drop(m, &now, &freed, err);
}

static int tidy_claimed(struct mounts *m, const struct mount_entry *e, struct arena *arena, struct err *err)
{
	ProtobufCBinaryData target = e->record->target;
	CLEANUP(freep) char *path = bytes_to_string((struct bytes){ target.data, target.len });
	struct claim claim = { .target = path };
	int r;

	if (!path)
		return fail_nomem(err);
	if (!claim_begin(m, &claim))
		return OK; /* whoever has it sees to it */
	r = tidy_one(m, &e->id, arena, err);
	claim_end(m, &claim);
	return r;
}

/* One that cannot be taken down is in nobody's way but its own. */
int mounts_tidy(struct mounts *m, struct err *err)
{
	CLEANUP(arena_free) struct arena arena;
	struct mount_entry *entries;
	bool *stands;
	size_t n;
	int r;

	arena_init(&arena, MOUNTS_ARENA_MAX);
	if (m->directory < 0)
		return OK;
	r = mount_records_read(m->store, &arena, &entries, &n, err);
	if (r == OK)
		r = mounts_standing(entries, n, &arena, &stands, err);
	if (r != OK)
		return r;
	for (size_t i = 0; i < n; i++)
		if (!stands[i] || !entries[i].record->committed) {
			int one = tidy_claimed(m, &entries[i], &arena, r == OK ? err : NULL);

			r = r == OK ? one : r;
		}
	return r;
}

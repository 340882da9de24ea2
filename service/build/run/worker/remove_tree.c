#include "service/build/run/worker/remove_tree.h"

#include <dirent.h>
#include <fcntl.h>

#include "proto/runtime/buf.h"

enum { NAMES_MAX = 256 << 20 };

struct removal {
	int at; /* the directory that is being emptied */
	size_t depth;
	struct buf names; /* of the directories down to it, each with its NUL */
};

/* Removes what is no directory; the first directory is entered. *ret_empty: there was none. */
static int empty(struct removal *r, bool *ret_empty, struct err *err)
{
	int copy = openat(r->at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = OK;
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	char inner[256] = "";
	struct dirent *e;

	if (!dir) {
		closep(&copy);
		return fail_errno(err, "open a directory that is to go");
	}
	while (rc == OK && !inner[0] && (e = readdir(dir))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") || !unlinkat(r->at, e->d_name, 0))
			continue;
		if (errno != EISDIR && errno != EPERM)
			rc = fail_errno(err, "remove '%s'", e->d_name);
		else if (unlinkat(r->at, e->d_name, AT_REMOVEDIR) < 0 && errno == ENOTEMPTY)
			snprintf(inner, sizeof inner, "%s", e->d_name);
		else if (faccessat(r->at, e->d_name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			rc = fail_errno(err, "remove '%s'", e->d_name);
	}
	closedir(dir);
	*ret_empty = !inner[0];
	if (rc != OK || !inner[0])
		return rc;
	copy = openat(r->at, inner, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (copy < 0)
		return fail_errno(err, "open '%s', which is to go", inner);
	close(r->at);
	r->at = copy;
	r->depth++;
	return buf_append(&r->names, inner, strlen(inner) + 1) ? OK : fail_nomem(err);
}

/* Back to the directory above, which loses this one. */
static int leave(struct removal *r, struct err *err)
{
	int above = openat(r->at, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t begin = r->names.len - 1;

	if (above < 0)
		return fail_errno(err, "go back up while removing");
	close(r->at);
	r->at = above;
	while (begin && r->names.data[begin - 1])
		begin--;
	r->depth--;
	r->names.len = begin;
	return unlinkat(above, (const char *)r->names.data + begin, AT_REMOVEDIR) < 0
		       ? fail_errno(err, "remove a directory")
		       : OK;
}

int remove_tree_content(int dir, struct err *err)
{
	struct removal r = { .at = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), .names = BUF_INIT(NAMES_MAX) };
	bool is_empty = false;
	int rc = r.at < 0 ? fail_errno(err, "open the directory of a step") : OK;

	while (rc == OK) {
		rc = empty(&r, &is_empty, err);
		if (rc == OK && is_empty && !r.depth)
			break;
		if (rc == OK && is_empty)
			rc = leave(&r, err);
	}
	closep(&r.at);
	buf_free(&r.names);
	return rc;
}

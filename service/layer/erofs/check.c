#include "service/layer/erofs/check.h"

#include <inttypes.h>
#include <sys/stat.h>

#include "service/layer/erofs/checking.h"

enum { PENDING_MIN = 64 };

/* A directory that is still to be looked into. Each leads up to where it was found
 * (check_directory.c), so that it can be found a second time only in the same one. */
struct pending {
	uint64_t nid, parent;
};

struct walk {
	struct check_image image;
	uint64_t max_entries;
	struct erofs_summary summary;
	struct pending *pending;
	size_t n, room;
	uint64_t at; /* the directory that is looked into */
};

static int add_pending(struct walk *w, uint64_t nid, struct err *err)
{
	if (w->n == w->room) {
		size_t room = w->room ? w->room * 2 : PENDING_MIN;
		struct pending *pending = reallocarray(w->pending, room, sizeof *pending);

		if (!pending)
			return fail_nomem(err);
		w->pending = pending;
		w->room = room;
	}
	w->pending[w->n++] = (struct pending){ nid, w->at };
	return OK;
}

static int take_entry(void *arg, const struct check_entry *e, struct err *err)
{
	struct walk *w = arg;
	struct erofs_node n;
	int rc;

	if (w->summary.entries++ == w->max_entries)
		return fail(err, E_LIMIT, "layer's image has more than %" PRIu64 " entries", w->max_entries);
	rc = check_inode(&w->image, e->nid, &n, err);
	if (rc != OK)
		return rc;
	if (!check_type(e->type, n.mode))
		return check_fail("an entry of another type than its inode", e->nid, err);
	w->summary.whiteouts += S_ISCHR(n.mode) && !n.place;
	return S_ISDIR(n.mode) ? add_pending(w, e->nid, err) : OK;
}

static int compare_pending(const void *a, const void *b)
{
	const struct pending *x = a, *y = b;

	return (x->nid > y->nid) - (x->nid < y->nid);
}

/* Those that were found from `first` on are all of one directory. */
static int check_once(struct walk *w, size_t first, struct err *err)
{
	if (w->n - first > 1)
		qsort(w->pending + first, w->n - first, sizeof *w->pending, compare_pending);
	for (size_t i = first; i < w->n; i++)
		if (w->pending[i].nid == EROFS_ROOT_NID || (i > first && w->pending[i].nid == w->pending[i - 1].nid))
			return check_fail("a directory with two names", w->pending[i].nid, err);
	return OK;
}

static int look_into(struct walk *w, struct pending p, struct err *err)
{
	size_t first = w->n;
	struct erofs_node n;
	int rc = check_inode(&w->image, p.nid, &n, err);

	if (rc != OK)
		return rc;
	if (!S_ISDIR(n.mode))
		return check_fail("a root that is no directory", p.nid, err);
	w->at = p.nid;
	w->summary.directories++;
	if (p.nid == EROFS_ROOT_NID)
		w->summary.root_is_opaque = n.is_opaque;
	rc = check_directory(&w->image, &n, p.parent, take_entry, w, err);
	return rc == OK ? check_once(w, first, err) : rc;
}

static int walk_all(struct walk *w, struct cancel *cancel, struct err *err)
{
	int rc = check_super(&w->image, err);

	w->at = EROFS_ROOT_NID;
	if (rc == OK)
		rc = add_pending(w, EROFS_ROOT_NID, err);
	while (rc == OK && w->n) {
		rc = cancel_check(cancel, err);
		if (rc == OK)
			rc = look_into(w, w->pending[--w->n], err);
	}
	return rc;
}

int erofs_check(int fd, uint64_t max_entries, struct cancel *cancel, struct erofs_summary *ret_summary, struct err *err)
{
	struct walk w = { .max_entries = max_entries };
	int rc = check_image_init(&w.image, fd, CHECK_CACHED, err);

	if (rc == OK)
		rc = walk_all(&w, cancel, err);
	check_image_free(&w.image);
	free(w.pending);
	if (rc == OK)
		*ret_summary = w.summary;
	return rc;
}

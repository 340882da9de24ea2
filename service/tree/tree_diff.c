#include "service/tree/tree_diff.h"

#include <sys/stat.h>

enum { PIECE_BYTES = 64 * 1024, PERMISSIONS = 07777 };

struct pieces {
	uint8_t from[PIECE_BYTES], to[PIECE_BYTES];
};

struct comparing {
	const struct tree_diff *d;
	struct pieces *pieces;
	struct buf from_attributes, to_attributes;
};

static void comparing_free(struct comparing *c)
{
	free(c->pieces);
	buf_free(&c->from_attributes);
	buf_free(&c->to_attributes);
}

/* ---- content ------------------------------------------------------------------ */

struct run {
	bool is_hole;
	uint64_t len;
};

static int run_at(const struct tree_entry *e, uint64_t at, struct run *ret_run, struct err *err)
{
	ret_run->is_hole = false;
	ret_run->len = e->node.size - at;
	if (!erofs_node_may_have_holes(&e->node))
		return OK;
	return erofs_read_run(e->reader, &e->node, at, &ret_run->is_hole, &ret_run->len, err);
}

static int compare_piece(struct comparing *c, const struct tree_entry *from, const struct tree_entry *to, uint64_t at,
			 size_t len, bool *ret_same, struct err *err)
{
	int r = erofs_read_data(from->reader, &from->node, at, c->pieces->from, len, err);

	if (r == OK)
		r = erofs_read_data(to->reader, &to->node, at, c->pieces->to, len, err);
	if (r == OK)
		*ret_same = !memcmp(c->pieces->from, c->pieces->to, len);
	return r;
}

/* The next bytes, of which either both or not both are a hole. */
static int compare_at(struct comparing *c, const struct tree_entry *from, const struct tree_entry *to, uint64_t *at,
		      bool *ret_same, struct err *err)
{
	struct run a, b;
	uint64_t len;
	int r = run_at(from, *at, &a, err);

	if (r == OK)
		r = run_at(to, *at, &b, err);
	if (r != OK)
		return r;
	len = a.len < b.len ? a.len : b.len;
	if (!len)
		return fail(err, E_CORRUPT, "a file of a layer's image ends before its size");
	if (!(a.is_hole && b.is_hole)) {
		len = min_size(len, PIECE_BYTES);
		r = compare_piece(c, from, to, *at, (size_t)len, ret_same, err);
	}
	*at += len;
	return r;
}

static int compare_content(struct comparing *c, const struct tree_entry *from, const struct tree_entry *to,
			   bool *ret_same, struct err *err)
{
	uint64_t at = 0;
	int r = OK;

	*ret_same = from->node.size == to->node.size;
	while (r == OK && *ret_same && at < from->node.size) {
		r = cancel_check(c->d->cancel, err);
		if (r == OK)
			r = compare_at(c, from, to, &at, ret_same, err);
	}
	return r;
}

static int compare_links(const struct tree_entry *from, const struct tree_entry *to, bool *ret_same, struct err *err)
{
	uint8_t a[EROFS_TARGET_MAX], b[EROFS_TARGET_MAX];
	int r;

	*ret_same = from->node.size == to->node.size;
	if (!*ret_same)
		return OK;
	r = erofs_read_target(from->reader, &from->node, a, err);
	if (r == OK)
		r = erofs_read_target(to->reader, &to->node, b, err);
	if (r == OK)
		*ret_same = !memcmp(a, b, from->node.size);
	return r;
}

/* ---- attributes --------------------------------------------------------------- */

static bool attribute_eq(const struct erofs_attribute *a, const struct erofs_attribute *b)
{
	return !strcmp(a->prefix, b->prefix) && a->name.len == b->name.len && a->value.len == b->value.len &&
	       !memcmp(a->name.data, b->name.data, a->name.len) && !memcmp(a->value.data, b->value.data, a->value.len);
}

static bool has_attribute(struct bytes all, const struct erofs_attribute *wanted)
{
	struct erofs_attribute a;

	while (erofs_next_attribute(&all, &a))
		if (attribute_eq(&a, wanted))
			return true;
	return false;
}

/* Each name is there once, so that as many, and all of one among the other, are the same. */
static bool attributes_eq(struct bytes from, struct bytes to)
{
	struct bytes rest = from;
	struct erofs_attribute a;
	size_t n = 0, others = 0;

	for (; erofs_next_attribute(&rest, &a); n++)
		if (!has_attribute(to, &a))
			return false;
	for (rest = to; erofs_next_attribute(&rest, &a); others++)
		;
	return n == others;
}

static int compare_attributes(struct comparing *c, const struct tree_entry *from, const struct tree_entry *to,
			      bool *ret_same, struct err *err)
{
	int r;

	*ret_same = true;
	if (!from->node.xattrs_len && !to->node.xattrs_len)
		return OK;
	buf_reset(&c->from_attributes);
	buf_reset(&c->to_attributes);
	r = erofs_read_attributes(from->reader, &from->node, &c->from_attributes, err);
	if (r == OK)
		r = erofs_read_attributes(to->reader, &to->node, &c->to_attributes, err);
	if (r == OK)
		*ret_same = attributes_eq(buf_bytes(&c->from_attributes), buf_bytes(&c->to_attributes));
	return r;
}

/* ---- one path ------------------------------------------------------------------ */

static bool is_same_inode(const struct tree_diff *d, const struct tree_entry *from, const struct tree_entry *to)
{
	return from->node.nid == to->node.nid && digest_eq(&d->from_layers[from->layer], &d->to_layers[to->layer]);
}

static unsigned compare_facts(const struct tree_diff *d, const struct erofs_node *from, const struct erofs_node *to)
{
	unsigned changes = 0;

	if ((from->mode & PERMISSIONS) != (to->mode & PERMISSIONS))
		changes |= TREE_MODE;
	if (from->uid != to->uid || from->gid != to->gid)
		changes |= TREE_OWNER;
	if (!d->ignore_times && !S_ISDIR(to->mode) && (from->mtime != to->mtime || from->mtime_ns != to->mtime_ns))
		changes |= TREE_TIME;
	return changes;
}

static int compare_kind(struct comparing *c, const struct tree_entry *from, const struct tree_entry *to,
			unsigned *changes, struct err *err)
{
	bool same = true;
	int r = OK;

	switch (to->node.mode & S_IFMT) {
	case S_IFREG:
		r = compare_content(c, from, to, &same, err);
		*changes |= same ? 0 : TREE_CONTENT;
		break;
	case S_IFLNK:
		r = compare_links(from, to, &same, err);
		*changes |= same ? 0 : TREE_LINK;
		break;
	case S_IFCHR:
	case S_IFBLK:
		if (erofs_node_device(&from->node) != erofs_node_device(&to->node))
			*changes |= TREE_DEVICE;
		break;
	default:
		break;
	}
	return r;
}

static int compare(struct comparing *c, const struct tree_entry *from, const struct tree_entry *to,
		   unsigned *ret_changes, struct err *err)
{
	unsigned changes;
	bool same;
	int r;

	*ret_changes = 0;
	if (is_same_inode(c->d, from, to))
		return OK;
	changes = compare_facts(c->d, &from->node, &to->node);
	if ((from->node.mode & S_IFMT) != (to->node.mode & S_IFMT)) {
		*ret_changes = changes | TREE_TYPE;
		return OK;
	}
	r = compare_kind(c, from, to, &changes, err);
	if (r == OK)
		r = compare_attributes(c, from, to, &same, err);
	if (r == OK)
		*ret_changes = changes | (same ? 0 : TREE_ATTRIBUTES);
	return r;
}

/* ---- both ----------------------------------------------------------------------- */

/* In the order of a walk, in which what is in a directory comes right behind it: there the
 * slash is before all other bytes. */
static int path_cmp(struct bytes a, struct bytes b)
{
	size_t n = a.len < b.len ? a.len : b.len, i = 0;

	while (i < n && a.data[i] == b.data[i])
		i++;
	if (i == n)
		return a.len < b.len ? -1 : a.len > b.len;
	if (a.data[i] == '/' || b.data[i] == '/')
		return a.data[i] == '/' ? -1 : 1;
	return a.data[i] < b.data[i] ? -1 : 1;
}

static int visit(const struct comparing *c, const struct tree_entry *from, const struct tree_entry *to,
		 unsigned changes, struct err *err)
{
	return c->d->visit(c->d->arg, from, to, changes, err);
}

static int visit_both(struct comparing *c, const struct tree_entry *from, const struct tree_entry *to, struct err *err)
{
	unsigned changes;
	int r = compare(c, from, to, &changes, err);

	return r == OK && changes ? visit(c, from, to, changes, err) : r;
}

static int walk(struct comparing *c, struct err *err)
{
	const struct tree_entry *from, *to;
	int r = tree_next(c->d->from, &from, err);

	if (r == OK)
		r = tree_next(c->d->to, &to, err);
	while (r == OK && (from || to)) {
		int order = !from ? 1 : !to ? -1 : path_cmp(from->path, to->path);

		r = cancel_check(c->d->cancel, err);
		if (r == OK)
			r = order < 0	? visit(c, from, NULL, 0, err)
			    : order > 0 ? visit(c, NULL, to, 0, err)
					: visit_both(c, from, to, err);
		if (r == OK && order <= 0)
			r = tree_next(c->d->from, &from, err);
		if (r == OK && order >= 0)
			r = tree_next(c->d->to, &to, err);
	}
	return r;
}

int tree_diff_run(const struct tree_diff *d, struct err *err)
{
	CLEANUP(comparing_free)
	struct comparing c = {
		.d = d,
		.pieces = malloc(sizeof *c.pieces),
		.from_attributes = BUF_INIT(EROFS_XATTRS_MAX),
		.to_attributes = BUF_INIT(EROFS_XATTRS_MAX),
	};

	return c.pieces ? walk(&c, err) : fail_nomem(err);
}

#include "service/build/copy/source.h"

#include <sys/stat.h>

#include "store/contexts/context_xattrs.h"
#include "store/types/path.h"

enum { XATTRS_MAX = 1024, SHOWN = 512 };

static const int64_t ns_per_s = 1000000000;

/* ---- finding ------------------------------------------------------------------------------ */

int source_fail_missing(const struct copy_files *f, struct bytes path, struct err *err)
{
	const struct ignore_pattern *p = f->ignore ? ignore_match(f->ignore, path) : NULL;

	if (!p || p->exception)
		return fail(err, E_NOT_FOUND, "\"/%.*s\": not found", (int)min_size(path.len, SHOWN),
			    (const char *)path.data);
	return fail(err, E_NOT_FOUND, "\"/%.*s\": not found (excluded by line %d of %s: \"%.*s\")",
		    (int)min_size(path.len, SHOWN), (const char *)path.data, p->line, f->ignore_name,
		    (int)min_size(p->text.len, SHOWN), (const char *)p->text.data);
}

static int resolve_in_context(const struct copy_files *f, struct bytes path, struct buf *out, uint32_t *ret_mode,
			      struct err *err)
{
	const struct context_list *list = build_context_list(f->context);
	struct bytes found = { 0 };
	uint32_t index;
	int rc = context_list_resolve(list, path, true, &index, err);

	if (rc != OK)
		return rc;
	*ret_mode = S_IFDIR | 0755;
	if (index != CONTEXT_NO_ENTRY) {
		found = context_list_path(list, index);
		*ret_mode = context_list_mode(list, index);
	}
	return buf_append(out, found.data, found.len) ? OK : fail_nomem(err);
}

static int resolve_in_tree(const struct copy_files *f, struct bytes path, struct buf *out, uint32_t *ret_mode,
			   struct err *err)
{
	struct tree_entry e;
	bool found;
	int rc = tree_view_resolve(f->view, path, true, out, &found, &e, err);

	if (rc == OK && !found)
		return fail(err, E_NOT_FOUND, "not found");
	*ret_mode = rc == OK ? e.node.mode : 0;
	return rc;
}

int source_resolve(const struct copy_files *f, struct bytes path, struct buf *out, uint32_t *ret_mode, struct err *err)
{
	struct err why = ERR_INIT;
	int rc = f->context ? resolve_in_context(f, path, out, ret_mode, &why)
			    : resolve_in_tree(f, path, out, ret_mode, &why);

	if (rc == E_NOT_FOUND)
		return source_fail_missing(f, path, err);
	return rc == OK ? OK : fail(err, rc, "%s", why.text);
}

static int64_t seconds(int64_t ns)
{
	return ns / ns_per_s - (ns % ns_per_s < 0);
}

void source_of_context(const struct copy_files *f, uint32_t index, struct source_entry *ret_entry)
{
	struct context_owner owner;
	struct context_entry e;

	*ret_entry = (struct source_entry){ .files = f, .index = index, .mode = S_IFDIR | 0755 };
	if (index == CONTEXT_NO_ENTRY)
		return;
	e = context_list_entry(build_context_list(f->context), index);
	ret_entry->mode = e.mode;
	ret_entry->size = S_ISREG(e.mode) ? (uint64_t)e.size : 0;
	ret_entry->mtime = seconds(e.mtime_ns);
	ret_entry->major = (uint32_t)(e.device >> 32);
	ret_entry->minor = (uint32_t)e.device;
	ret_entry->has_names = S_ISREG(e.mode);
	build_context_owner(f->context, index, &owner);
	ret_entry->uid = owner.uid;
	ret_entry->gid = owner.gid;
	ret_entry->is_made = owner.is_made;
}

void source_of_tree(const struct copy_files *f, const struct tree_entry *t, struct source_entry *ret_entry)
{
	const struct erofs_node *n = &t->node;
	uint32_t device = S_ISCHR(n->mode) || S_ISBLK(n->mode) ? erofs_node_device(n) : 0;

	*ret_entry = (struct source_entry){
		.mode = n->mode,
		.uid = n->uid,
		.gid = n->gid,
		.size = S_ISREG(n->mode) ? n->size : 0,
		.mtime = n->mtime,
		.major = device >> 8 & 0xfff,
		.minor = (device & 0xff) | (device >> 12 & ~UINT32_C(0xff)),
		.has_names = !S_ISDIR(n->mode) && n->links > 1,
		.files = f,
		.tree = *t,
	};
}

int source_lookup(const struct copy_files *f, struct bytes path, struct source_entry *ret_entry, struct err *err)
{
	struct tree_entry t;
	int rc;

	if (f->context) {
		uint32_t index = path.len ? context_list_find(build_context_list(f->context), path) : CONTEXT_NO_ENTRY;

		if (path.len && index == CONTEXT_NO_ENTRY)
			return source_fail_missing(f, path, err);
		source_of_context(f, index, ret_entry);
		return OK;
	}
	rc = tree_view_lookup(f->view, path, &t, err);
	if (rc == OK)
		source_of_tree(f, &t, ret_entry);
	return rc;
}

/* ---- what it has ------------------------------------------------------------------------------ */

static int read_packed(const struct source_entry *e, uint64_t offset, uint8_t *data, size_t len, struct err *err)
{
	struct build_file file;

	build_context_file(e->files->context, e->index, &file);
	while (len) {
		ssize_t n = pread(file.fd, data, len, file.offset + (int64_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "read a file of the build context");
		if (!n)
			return fail(err, E_CORRUPT, "the files of a build context are cut off");
		data += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return OK;
}

int source_read(const struct source_entry *e, uint64_t offset, uint8_t *data, size_t len, struct err *err)
{
	if (e->files->context)
		return read_packed(e, offset, data, len, err);
	return erofs_read_data(e->tree.reader, &e->tree.node, offset, data, len, err);
}

int source_target(const struct source_entry *e, struct buf *out, struct err *err)
{
	struct bytes link;
	uint8_t *room;
	int rc;

	buf_reset(out);
	if (e->files->context) {
		link = context_list_entry(build_context_list(e->files->context), e->index).link;
		return buf_append(out, link.data, link.len) ? OK : fail_nomem(err);
	}
	room = buf_reserve(out, EROFS_TARGET_MAX);
	if (!room)
		return fail_nomem(err);
	rc = erofs_read_target(e->tree.reader, &e->tree.node, room, err);
	if (rc == OK)
		out->len += min_size(e->tree.node.size, EROFS_TARGET_MAX);
	return rc;
}

/* ---- extended attributes ------------------------------------------------------------------------ */

struct collecting {
	struct arena *arena;
	struct source_xattr *all;
	size_t n, room;
};

static int add_xattr(struct collecting *c, const char *prefix, struct bytes name, struct bytes value, struct err *err)
{
	struct source_xattr x;
	int rc;

	x.name = arena_printf(c->arena, "%s%.*s", prefix, (int)name.len, (const char *)name.data);
	x.value = (struct bytes){ (const uint8_t *)arena_bytes(c->arena, value), value.len };
	if (!x.name || !x.value.data)
		return fail_nomem(err);
	if (strcmp(x.name, "security.capability") != 0 && strncmp(x.name, "user.", strlen("user.")) != 0)
		return OK;
	if (c->n == XATTRS_MAX)
		return fail(err, E_LIMIT, "a file has more than %d extended attributes", XATTRS_MAX);
	rc = arena_grow(c->arena, &c->all, c->n, &c->room, sizeof *c->all, err);
	if (rc == OK)
		c->all[c->n++] = x;
	return rc;
}

static int collect_of_context(const struct source_entry *e, struct collecting *c, struct err *err)
{
	CLEANUP(buf_free) struct buf packed = BUF_INIT(CONTEXT_XATTRS_PACKED_MAX);
	struct context_xattr x;
	struct bytes rest;
	int rc = build_context_xattrs(e->files->context, e->index, &packed, err);

	rest = buf_bytes(&packed);
	while (rc == OK && context_xattrs_next(&rest, &x))
		rc = add_xattr(c, "", x.name, x.value, err);
	return rc;
}

static int collect_of_tree(const struct source_entry *e, struct collecting *c, struct err *err)
{
	CLEANUP(buf_free) struct buf packed = BUF_INIT(EROFS_XATTRS_MAX);
	struct erofs_attribute x;
	struct bytes rest;
	int rc = erofs_read_attributes(e->tree.reader, &e->tree.node, &packed, err);

	rest = buf_bytes(&packed);
	while (rc == OK && erofs_next_attribute(&rest, &x))
		rc = add_xattr(c, x.prefix, x.name, x.value, err);
	return rc;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct source_xattr *)a)->name, ((const struct source_xattr *)b)->name);
}

int source_xattrs(const struct source_entry *e, struct arena *a, struct source_xattr **ret_xattrs, size_t *ret_n,
		  struct err *err)
{
	struct collecting c = { .arena = a };
	int rc = OK;

	if (e->files->context && e->index != CONTEXT_NO_ENTRY)
		rc = collect_of_context(e, &c, err);
	else if (!e->files->context && e->tree.reader && e->tree.node.xattrs_len)
		rc = collect_of_tree(e, &c, err);
	if (rc != OK)
		return rc;
	if (c.n > 1)
		qsort(c.all, c.n, sizeof *c.all, by_name);
	*ret_xattrs = c.all;
	*ret_n = c.n;
	return OK;
}

void source_number(const struct source_entry *e, uint64_t number[2])
{
	number[0] = e->files->context ? 0 : e->tree.layer;
	number[1] = e->files->context ? context_list_source(build_context_list(e->files->context), e->index)
				      : e->tree.node.nid;
}

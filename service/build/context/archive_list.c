/* The sorted entries of an archive become a list, and places of its files. */
#include <sys/stat.h>

#include "service/build/context/archive_spool.h"
#include "store/contexts/context_xattrs.h"

enum { RUN_MAX = 1024, XATTRS_COUNT_MAX = 16384, LINKS_MAX = 40 };

struct listing_out {
	struct archive_spool *spool;
	struct bytes subdir;
	struct context_list_writer *writer;
	struct context_owner *owners; /* NULL: of no use */
	struct context_xattr *xattrs; /* XATTRS_COUNT_MAX */
	/* The last path that was listed. */
	size_t last_len;
	uint8_t last[CONTEXT_PATH_MAX];
};

/* ---- which entries ---------------------------------------------------------------------- */

/* The path as it is in the context; empty: it is not in it. */
static struct bytes inside(const struct listing_out *o, struct bytes path)
{
	if (!o->subdir.len)
		return path;
	if (!context_path_is_below(o->subdir, path))
		return (struct bytes){ 0 };
	return (struct bytes){ path.data + o->subdir.len + 1, path.len - o->subdir.len - 1 };
}

static int fail_link(struct bytes path, struct err *err)
{
	char shown[CONTEXT_SHOWN_MAX];

	return fail(err, E_BAD_CONTENT, "archive entry \"%s\": a hard link of what is no file of the archive",
		    context_path_show(path, shown));
}

/* What a hard link leads to. */
static int follow(const struct archive_spool *s, struct spool_entry *e, struct err *err)
{
	struct bytes path = e->path;
	size_t i = 0;

	for (int hops = 0; !e->head.mode; hops++) {
		if (hops == LINKS_MAX || !spool_find(s, e->link, &i))
			return fail_link(path, err);
		*e = spool_get(s, i);
	}
	return S_ISREG(e->head.mode) ? OK : fail_link(path, err);
}

/* ---- the list ------------------------------------------------------------------------------ */

static int add(struct listing_out *o, const struct context_entry *e, struct err *err)
{
	int r = context_list_add(o->writer, e, err);

	if (r != OK)
		return r == E_INVALID && err ? (err->code = E_BAD_CONTENT) : r;
	memcpy(o->last, e->path.data, e->path.len);
	o->last_len = e->path.len;
	return OK;
}

static bool is_listed(const struct listing_out *o, struct bytes directory)
{
	struct bytes last = { o->last, o->last_len };

	return !context_path_compare(directory, last) || context_path_is_below(directory, last);
}

/* Directories on the way to the path that the archive has no entries for. */
static int add_parents(struct listing_out *o, struct bytes path, struct err *err)
{
	int r = OK;

	for (size_t i = 1; r == OK && i < path.len; i++) {
		struct context_entry parent = { .path = { path.data, i }, .mode = S_IFDIR | 0755 };

		if (path.data[i] == '/' && !is_listed(o, parent.path))
			r = add(o, &parent, err);
	}
	return r;
}

static int set_xattrs(struct listing_out *o, struct bytes packed, struct context_entry *e, struct err *err)
{
	if (!packed.len)
		return OK;
	if (!o->xattrs)
		o->xattrs = reallocarray(NULL, XATTRS_COUNT_MAX, sizeof *o->xattrs);
	if (!o->xattrs)
		return fail_nomem(err);
	while (e->n_xattrs < XATTRS_COUNT_MAX && context_xattrs_next(&packed, &o->xattrs[e->n_xattrs]))
		e->n_xattrs++;
	e->xattrs = o->xattrs;
	return OK;
}

static int add_link(struct listing_out *o, struct bytes path, struct spool_entry *e, struct err *err)
{
	struct context_entry out = { .path = path };
	struct bytes target;
	int r = follow(o->spool, e, err);

	if (r != OK)
		return r;
	out.mode = e->head.mode;
	out.size = e->head.size;
	out.mtime_ns = e->head.mtime_ns;
	target = inside(o, e->path);
	if (target.len && context_path_compare(target, path) < 0)
		out.same_as = target;
	return add(o, &out, err);
}

static int add_entry(struct listing_out *o, struct spool_entry *e, struct err *err)
{
	struct context_entry out = {
		.path = inside(o, e->path),
		.mode = e->head.mode,
		.size = e->head.size,
		.mtime_ns = e->head.mtime_ns,
		.device = e->head.device,
		.link = e->link,
	};
	int r;

	if (!out.path.len)
		return OK;
	r = add_parents(o, out.path, err);
	if (r == OK && !e->head.mode)
		return add_link(o, out.path, e, err);
	if (r == OK && !S_ISREG(out.mode))
		r = set_xattrs(o, e->xattrs, &out, err);
	return r == OK ? add(o, &out, err) : r;
}

static int write_list(struct listing_out *o, struct context_list **ret_list, struct err *err)
{
	int r = context_list_begin(o->spool->file.store, NULL, &o->writer, err);

	for (size_t i = 0; r == OK && i < o->spool->n; i++) {
		struct spool_entry e = spool_get(o->spool, i);

		r = add_entry(o, &e, err);
	}
	if (r == OK)
		r = context_list_end(o->writer, ret_list, err);
	context_list_abandon(o->writer);
	free(o->xattrs);
	return r;
}

/* ---- places ---------------------------------------------------------------------------------- */

static int put_place(struct listing_out *o, struct context_files *f, uint32_t index, struct spool_entry *e,
		     struct err *err)
{
	int r = e->head.mode ? OK : follow(o->spool, e, err);

	if (r == OK && o->owners)
		o->owners[index] = e->head.owner;
	if (r != OK || !S_ISREG(e->head.mode) || context_list_source(f->list, index) != index)
		return r;
	return context_files_put(f, index, &e->head.place, 1, err);
}

static int put_places(struct listing_out *o, struct context_files *f, struct err *err)
{
	uint32_t index = 0, n = context_list_count(f->list);
	int r = OK;

	for (size_t i = 0; r == OK && i < o->spool->n; i++) {
		struct spool_entry e = spool_get(o->spool, i);
		struct bytes path = inside(o, e.path);

		if (!path.len)
			continue;
		while (index < n && context_path_compare(context_list_path(f->list, index), path) < 0)
			index++; /* directories that were made */
		if (index < n)
			r = put_place(o, f, index, &e, err);
	}
	return r;
}

/* Until an entry says something else, nobody has told of it. */
static int make_owners(struct listing_out *o, size_t n, struct err *err)
{
	o->owners = calloc(n + 1, sizeof *o->owners);
	if (!o->owners)
		return fail_nomem(err);
	for (size_t i = 0; i < n; i++)
		o->owners[i].is_made = true;
	return OK;
}

static int find_subdir(const struct listing_out *o, struct err *err)
{
	size_t i = 0;

	if (!o->subdir.len || (spool_find(o->spool, o->subdir, &i) && S_ISDIR(spool_get(o->spool, i).head.mode)))
		return OK;
	for (i = 0; i < o->spool->n; i++)
		if (context_path_is_below(o->subdir, spool_get(o->spool, i).path))
			return OK;
	return fail(err, E_NOT_FOUND, "subdirectory \"%.*s\" is not in the build context",
		    (int)min_size(o->subdir.len, 256), (const char *)o->subdir.data);
}

int spool_to_files(struct archive_spool *s, struct bytes subdir, struct context_pack *pack,
		   struct context_files **ret_files, struct context_owner **ret_owners, struct err *err)
{
	CLEANUP(context_pack_unrefp) struct context_pack *taken = pack;
	CLEANUP(context_files_unrefp) struct context_files *files = NULL;
	CLEANUP(freep) struct listing_out *o = calloc(1, sizeof *o);
	struct context_list *list = NULL;
	int r;

	if (!o)
		return fail_nomem(err);
	o->spool = s;
	o->subdir = subdir;
	r = find_subdir(o, err);
	if (r == OK)
		r = write_list(o, &list, err);
	if (r == OK)
		r = context_files_of_pack(s->file.store, list, TAKE(taken), &files, err);
	if (r == OK && ret_owners)
		r = make_owners(o, context_list_count(files->list), err);
	if (r == OK)
		r = put_places(o, files, err);
	if (r == OK && ret_owners)
		*ret_owners = TAKE(o->owners);
	if (r == OK)
		*ret_files = TAKE(files);
	free(o->owners);
	return r;
}

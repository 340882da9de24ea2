#include "service/build/copy/layer_out.h"

#include <sys/stat.h>

#include "service/build/diff/tar_put.h"

enum {
	OUT_BYTES = 256 * 1024,
	OUT_MAX = 32 * 1024 * 1024, /* with the records of an entry */
	ENTRY_BYTES_MAX = 4 * 1024 * 1024,
};

static const char whiteout_prefix[] = ".wh.";

void layer_out_init(struct layer_out *o, copy_write *write, void *arg, struct cancel *cancel)
{
	*o = (struct layer_out){
		.write = write,
		.arg = arg,
		.cancel = cancel,
		.out = BUF_INIT(OUT_MAX),
		.name = BUF_INIT(2 * TREE_PATH_MAX),
		.target = BUF_INIT(2 * EROFS_TARGET_MAX),
	};
	hard_links_init(&o->links);
	arena_init(&o->arena, ENTRY_BYTES_MAX);
}

void layer_out_free(struct layer_out *o)
{
	hard_links_free(&o->links);
	arena_free(&o->arena);
	buf_free(&o->out);
	buf_free(&o->name);
	buf_free(&o->target);
}

/* ---- output -------------------------------------------------------------------------- */

static int flush(struct layer_out *o, struct err *err)
{
	int rc = cancel_check(o->cancel, err);

	if (rc == OK && o->out.len)
		rc = o->write(o->arg, buf_bytes(&o->out), err);
	buf_reset(&o->out);
	return rc;
}

static int put_zeros(struct layer_out *o, size_t len, struct err *err)
{
	static const uint8_t zeros[TAR_PUT_END];

	return buf_append(&o->out, zeros, len) ? OK : fail_nomem(err);
}

int layer_out_end(struct layer_out *o, struct err *err)
{
	int rc = put_zeros(o, TAR_PUT_END, err);

	return rc == OK ? flush(o, err) : rc;
}

static int put_header(struct layer_out *o, const struct tar_put *p, struct err *err)
{
	if (!tar_put_header(p, &o->out))
		return fail_nomem(err);
	return o->out.len < OUT_BYTES ? OK : flush(o, err);
}

static int put_data(struct layer_out *o, const struct source_entry *e, struct err *err)
{
	int rc = OK;

	for (uint64_t at = 0; rc == OK && at < e->size;) {
		size_t n = min_size(e->size - at, OUT_BYTES);
		uint8_t *room = buf_reserve(&o->out, n);

		rc = room ? source_read(e, at, room, n, err) : fail_nomem(err);
		if (rc == OK)
			o->out.len += n;
		at += n;
		if (rc == OK && o->out.len >= OUT_BYTES)
			rc = flush(o, err);
	}
	return rc == OK ? put_zeros(o, tar_put_padding(e->size), err) : rc;
}

/* ---- entries ----------------------------------------------------------------------------- */

static int set_name(struct layer_out *o, struct bytes path, bool is_directory, struct tar_put *p, struct err *err)
{
	size_t at = path.len, prefix = strlen(whiteout_prefix);

	while (at && path.data[at - 1] != '/')
		at--;
	if (path.len - at >= prefix && !memcmp(path.data + at, whiteout_prefix, prefix))
		return fail(err, E_UNSUPPORTED, "/%.*s: a layer cannot have a file of this name: it means a removal",
			    (int)min_size(path.len, 512), (const char *)path.data);
	buf_reset(&o->name);
	buf_append(&o->name, path.data, path.len);
	if (is_directory)
		buf_putc(&o->name, '/');
	p->name = buf_bytes(&o->name);
	return buf_ok(&o->name) ? OK : fail(err, E_LIMIT, "a path of the layer has more than %d bytes", TREE_PATH_MAX);
}

int layer_out_directory(struct layer_out *o, struct bytes path, uint32_t mode, const struct copy_owner *owner,
			int64_t mtime, struct err *err)
{
	struct tar_put p = {
		.type = TAR_PUT_DIRECTORY, .mode = mode, .uid = owner->uid, .gid = owner->gid, .mtime = mtime
	};
	int rc = set_name(o, path, true, &p, err);

	return rc == OK ? put_header(o, &p, err) : rc;
}

/* The name under which the file came first; empty: this is it. */
static int find_first_name(struct layer_out *o, struct bytes path, const struct source_entry *e, uint64_t number,
			   struct bytes *ret_first, struct err *err)
{
	struct tree_entry t = { .path = path, .node = { .mode = (uint16_t)e->mode, .links = UINT32_MAX } };
	uint64_t file[2];

	*ret_first = (struct bytes){ 0 };
	if (!e->has_names)
		return OK;
	source_number(e, file);
	t.layer = number * TREE_LAYERS_MAX + file[0];
	t.node.nid = file[1];
	return hard_links_first_name(&o->links, &t, ret_first, err);
}

static int set_xattrs(struct layer_out *o, const struct source_entry *e, struct tar_put *p, struct err *err)
{
	struct source_xattr *found;
	struct tar_put_xattr *xattrs;
	size_t n;
	int rc;

	arena_reset(&o->arena, ENTRY_BYTES_MAX);
	rc = source_xattrs(e, &o->arena, &found, &n, err);
	if (rc != OK || !n)
		return rc;
	xattrs = arena_array(&o->arena, n, sizeof *xattrs);
	if (!xattrs)
		return fail_nomem(err);
	for (size_t i = 0; i < n; i++)
		xattrs[i] = (struct tar_put_xattr){ found[i].name, found[i].value };
	p->xattrs = xattrs;
	p->n_xattrs = n;
	return OK;
}

static int put_link(struct layer_out *o, struct tar_put *p, struct bytes first, struct err *err)
{
	p->type = TAR_PUT_HARD_LINK;
	p->link = first;
	return put_header(o, p, err);
}

static int put_entry(struct layer_out *o, const struct source_entry *e, struct tar_put *p, struct err *err)
{
	int rc = set_xattrs(o, e, p, err);

	if (rc == OK && S_ISLNK(e->mode)) {
		rc = source_target(e, &o->target, err);
		p->link = buf_bytes(&o->target);
		p->mode = 0777;
	}
	p->size = S_ISREG(e->mode) ? e->size : 0;
	if (rc == OK)
		rc = put_header(o, p, err);
	return rc == OK && S_ISREG(e->mode) ? put_data(o, e, err) : rc;
}

int layer_out_entry(struct layer_out *o, struct bytes path, const struct source_entry *e, uint64_t number,
		    struct err *err)
{
	struct tar_put p = { .type = tar_put_type_of(e->mode),
			     .mode = e->mode & 07777,
			     .uid = e->uid,
			     .gid = e->gid,
			     .mtime = e->mtime,
			     .major = e->major,
			     .minor = e->minor };
	struct bytes first;
	int rc;

	if (S_ISSOCK(e->mode))
		return OK;
	rc = set_name(o, path, S_ISDIR(e->mode), &p, err);
	if (rc == OK)
		rc = find_first_name(o, path, e, number, &first, err);
	if (rc != OK)
		return rc;
	return first.len ? put_link(o, &p, first, err) : put_entry(o, e, &p, err);
}

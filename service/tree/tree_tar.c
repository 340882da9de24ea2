#include "service/tree/tree_tar.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "service/layer/erofs/acl.h"
#include "service/tree/hard_links.h"
#include "service/tree/sparse_map.h"
#include "store/archive/tar_head.h"

enum { HEAD_MAX = 4 * 1024 * 1024, RECORDS_MAX = 1024 * 1024, PREFIX_MAX = 1024 };

struct tree_tar {
	struct tree *tree;
	struct hard_links hard_links;
	struct tree_tar_options options;
	struct buf attributes, records, name, link, map_text;
	uint8_t target[EROFS_TARGET_MAX];

	/* What is given out: the head, then the pieces of the entry's file, then zeros. */
	struct buf head;
	size_t head_at;
	const struct tree_entry *entry; /* NULL behind the last one */
	struct sparse_map map;		/* of a file with holes */
	struct sparse_piece whole;	/* of one without */
	const struct sparse_piece *piece;
	size_t pieces; /* from `piece` on */
	uint64_t in_piece;
	size_t zeros;
	bool ended;
};

/* ---- life ---------------------------------------------------------------------------------- */

int tree_tar_new_with(struct tree *tree, const struct tree_tar_options *options, struct tree_tar **ret_tar,
		      struct err *err)
{
	struct tree_tar *t = calloc(1, sizeof *t);

	if (!t) {
		tree_close(tree);
		return fail_nomem(err);
	}
	t->tree = tree;
	t->options = *options;
	if (!t->options.prefix)
		t->options.prefix = "";
	hard_links_init(&t->hard_links);
	t->attributes = (struct buf)BUF_INIT(EROFS_XATTRS_MAX);
	t->records = (struct buf)BUF_INIT(RECORDS_MAX);
	t->name = (struct buf)BUF_INIT(TREE_PATH_MAX + PREFIX_MAX + 2);
	t->link = (struct buf)BUF_INIT(TREE_PATH_MAX + PREFIX_MAX);
	t->map_text = (struct buf)BUF_INIT(HEAD_MAX);
	t->head = (struct buf)BUF_INIT(HEAD_MAX);
	*ret_tar = t;
	return OK;
}

int tree_tar_new(struct tree *tree, struct tree_tar **ret_tar, struct err *err)
{
	static const struct tree_tar_options plain = { .prefix = "" };

	return tree_tar_new_with(tree, &plain, ret_tar, err);
}

void tree_tar_free(struct tree_tar *t)
{
	if (!t)
		return;
	tree_close(t->tree);
	hard_links_free(&t->hard_links);
	sparse_map_free(&t->map);
	buf_free(&t->attributes);
	buf_free(&t->records);
	buf_free(&t->name);
	buf_free(&t->link);
	buf_free(&t->map_text);
	buf_free(&t->head);
	free(t);
}

void tree_tar_freep(struct tree_tar **t)
{
	tree_tar_free(*t);
}

/* ---- the header ----------------------------------------------------------------------------- */

static bool set_type(const struct erofs_node *n, struct tar_head *h)
{
	switch (n->mode & S_IFMT) {
	case S_IFREG:
		h->type = TAR_TYPE_FILE;
		return true;
	case S_IFDIR:
		h->type = TAR_TYPE_DIRECTORY;
		return true;
	case S_IFLNK:
		h->type = TAR_TYPE_SYMLINK;
		return true;
	case S_IFCHR:
		h->type = TAR_TYPE_CHAR;
		return true;
	case S_IFBLK:
		h->type = TAR_TYPE_BLOCK;
		return true;
	case S_IFIFO:
		h->type = TAR_TYPE_FIFO;
		return true;
	default:
		return false;
	}
}

/* Linux's 32-bit number, as in format.h. */
static void set_device(const struct erofs_node *n, struct tar_head *h)
{
	uint32_t device = erofs_node_device(n);

	if (!S_ISCHR(n->mode) && !S_ISBLK(n->mode))
		return;
	h->major = device >> 8 & 0xfff;
	h->minor = (device & 0xff) | (device >> 12 & ~UINT32_C(0xff));
}

static int set_name(struct tree_tar *t, struct tar_head *h, struct err *err)
{
	const struct tree_entry *e = t->entry;

	buf_reset(&t->name);
	buf_puts(&t->name, t->options.prefix);
	if (!t->name.len && !e->path.len)
		buf_putc(&t->name, '.');
	buf_append(&t->name, e->path.data, e->path.len);
	if (S_ISDIR(e->node.mode) && (!t->name.len || t->name.data[t->name.len - 1] != '/'))
		buf_putc(&t->name, '/');
	h->name = buf_bytes(&t->name);
	return buf_ok(&t->name) ? OK : fail_nomem(err);
}

static int set_target(struct tree_tar *t, struct tar_head *h, struct err *err)
{
	h->link = (struct bytes){ t->target, t->entry->node.size };
	return erofs_read_target(t->entry->reader, &t->entry->node, t->target, err);
}

/* The first name of the file, where this is another one. */
static int set_hard_link(struct tree_tar *t, struct tar_head *h, struct err *err)
{
	struct bytes first;

	if (hard_links_first_name(&t->hard_links, t->entry, &first, err) < 0)
		return err ? err->code : E_NO_MEMORY;
	if (!first.len)
		return OK;
	h->type = TAR_TYPE_HARD_LINK;
	buf_reset(&t->link);
	buf_puts(&t->link, t->options.prefix);
	buf_append(&t->link, first.data, first.len);
	h->link = buf_bytes(&t->link);
	return buf_ok(&t->link) ? OK : fail_nomem(err);
}

/* As text for GNU tar and libarchive, which take it from nowhere else. */
static bool add_acl(struct buf *records, const char *key, struct bytes value)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(RECORDS_MAX);

	return acl_to_text(value, &text) && tar_record(records, key, (struct bytes){ NULL, 0 }, buf_bytes(&text));
}

/* A key ends at its first "=", so GNU tar writes that one, and what it writes it with, by
 * their numbers. */
static bool encode(struct bytes name, struct buf *out)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.data[i] == '=' || name.data[i] == '%')
			buf_printf(out, "%%%02X", name.data[i]);
		else
			buf_putc(out, (char)name.data[i]);
	return buf_ok(out);
}

static bool add_attribute(struct buf *records, const struct erofs_attribute *a)
{
	CLEANUP(buf_free) struct buf name = BUF_INIT(3 * EROFS_NAME_MAX);
	char prefix[64];

	snprintf(prefix, sizeof prefix, "SCHILY.xattr.%s", a->prefix);
	if (!encode(a->name, &name))
		return false;
	if (!strcmp(a->prefix, EROFS_ACL_ACCESS) && !add_acl(records, "SCHILY.acl.access", a->value))
		return false;
	if (!strcmp(a->prefix, EROFS_ACL_DEFAULT) && !add_acl(records, "SCHILY.acl.default", a->value))
		return false;
	return tar_record(records, prefix, buf_bytes(&name), a->value);
}

static int add_attributes(struct tree_tar *t, struct err *err)
{
	struct erofs_attribute a;
	struct bytes rest;
	int rc = OK;

	if (t->entry->node.xattrs_len)
		rc = erofs_read_attributes(t->entry->reader, &t->entry->node, &t->attributes, err);
	if (rc != OK || !t->entry->node.xattrs_len)
		return rc;
	rest = buf_bytes(&t->attributes);
	while (erofs_next_attribute(&rest, &a))
		if (!add_attribute(&t->records, &a))
			return fail_nomem(err);
	return OK;
}

/* ---- a file --------------------------------------------------------------------------------- */

static void set_pieces(struct tree_tar *t, const struct sparse_piece *first, size_t n)
{
	t->piece = first;
	t->pieces = n;
	t->in_piece = 0;
}

/* GNU tar, "Storing Sparse Files", PAX format 1.0: the number of pieces, then offset and
 * length of each, a line for each number, up to a whole block. A file that ends with a
 * hole has an empty piece at its end, which tells its size. */
static bool write_map(const struct sparse_map *m, uint64_t size, struct buf *out)
{
	static const uint8_t zeros[TAR_BLOCK_BYTES];
	const struct sparse_piece *last = m->n ? &m->pieces[m->n - 1] : NULL;
	bool ends_with_hole = !last || last->offset + last->len < size;
	size_t before = out->len;

	buf_printf(out, "%zu\n", m->n + ends_with_hole);
	for (size_t i = 0; i < m->n; i++)
		buf_printf(out, "%" PRIu64 "\n%" PRIu64 "\n", m->pieces[i].offset, m->pieces[i].len);
	if (ends_with_hole)
		buf_printf(out, "%" PRIu64 "\n0\n", size);
	return buf_append(out, zeros, tar_padding((int64_t)(out->len - before)));
}

/* Who knows nothing of the form sees a file of a name like this, as GNU tar has it. */
static bool set_stand_in(struct tree_tar *t, struct tar_head *h)
{
	struct bytes path = t->entry->path;
	size_t at = path.len;

	while (at && path.data[at - 1] != '/')
		at--;
	buf_reset(&t->name);
	buf_puts(&t->name, "GNUSparseFile.0/");
	buf_append(&t->name, path.data + at, path.len - at);
	h->name = buf_bytes(&t->name);
	return buf_ok(&t->name);
}

static int set_sparse(struct tree_tar *t, struct tar_head *h, struct err *err)
{
	struct buf *r = &t->records;

	buf_reset(&t->map_text);
	if (!write_map(&t->map, t->entry->node.size, &t->map_text) || !tar_record_number(r, "GNU.sparse.major", 1) ||
	    !tar_record_number(r, "GNU.sparse.minor", 0) ||
	    !tar_record(r, "GNU.sparse.name", (struct bytes){ NULL, 0 }, h->name) ||
	    !tar_record_number(r, "GNU.sparse.realsize", (int64_t)t->entry->node.size) || !set_stand_in(t, h))
		return fail_nomem(err);
	h->size = (int64_t)(t->map_text.len + t->map.stored);
	set_pieces(t, t->map.pieces, t->map.n);
	return OK;
}

static int set_data(struct tree_tar *t, struct tar_head *h, struct err *err)
{
	const struct erofs_node *n = &t->entry->node;
	int rc = OK;

	if (erofs_node_may_have_holes(n))
		rc = sparse_map_read(&t->map, t->entry->reader, n, err);
	if (rc != OK)
		return rc;
	if (erofs_node_may_have_holes(n) && t->map.stored < n->size)
		return set_sparse(t, h, err);
	t->whole = (struct sparse_piece){ 0, n->size };
	h->size = (int64_t)n->size;
	set_pieces(t, &t->whole, n->size ? 1 : 0);
	return OK;
}

/* ---- an entry ------------------------------------------------------------------------------- */

static int set_content(struct tree_tar *t, struct tar_head *h, struct err *err)
{
	int rc = set_hard_link(t, h, err);

	if (rc == OK && h->type == TAR_TYPE_SYMLINK)
		rc = set_target(t, h, err);
	else if (rc == OK && h->type == TAR_TYPE_FILE)
		rc = set_data(t, h, err);
	if (rc == OK && h->type != TAR_TYPE_HARD_LINK)
		rc = add_attributes(t, err);
	return rc;
}

static int put_entry(struct tree_tar *t, struct tar_head *h, struct err *err)
{
	int rc;

	buf_reset(&t->records);
	buf_reset(&t->map_text);
	set_pieces(t, NULL, 0);
	set_device(&t->entry->node, h);
	rc = set_name(t, h, err);
	if (rc == OK)
		rc = set_content(t, h, err);
	if (rc != OK)
		return rc;
	if (!tar_head_write(h, &t->records, &t->head) || !buf_append(&t->head, t->map_text.data, t->map_text.len))
		return fail_nomem(err);
	t->zeros = tar_padding(h->size);
	return OK;
}

static bool is_wanted(const struct tree_tar *t)
{
	return t->entry->path.len || !t->options.no_root || *t->options.prefix;
}

/* The next one that tar can say, or the archive's end. */
static int go_on(struct tree_tar *t, struct err *err)
{
	struct tar_head h = { .size = 0 };
	int rc;

	buf_reset(&t->head);
	t->head_at = 0;
	do
		rc = tree_next(t->tree, &t->entry, err);
	while (rc == OK && t->entry && (!is_wanted(t) || !set_type(&t->entry->node, &h)));
	if (rc != OK)
		return rc;
	if (!t->entry) {
		t->ended = true;
		t->zeros = t->options.no_end ? 0 : TAR_END_BYTES;
		return OK;
	}
	h.mode = t->entry->node.mode & 07777;
	h.uid = t->entry->node.uid;
	h.gid = t->entry->node.gid;
	h.mtime = t->options.has_time ? t->options.time : t->entry->node.mtime;
	h.mtime_ns = t->options.has_time ? 0 : t->entry->node.mtime_ns;
	return put_entry(t, &h, err);
}

/* ---- giving it out -------------------------------------------------------------------------- */

static int give_data(struct tree_tar *t, uint8_t *data, size_t size, size_t *ret_len, struct err *err)
{
	size_t len = min_size(t->piece->len - t->in_piece, size);
	int rc = erofs_read_data(t->entry->reader, &t->entry->node, t->piece->offset + t->in_piece, data, len, err);

	*ret_len = len;
	t->in_piece += len;
	if (t->in_piece == t->piece->len)
		set_pieces(t, t->piece + 1, t->pieces - 1);
	return rc;
}

/* The next bytes of one part; none when a new entry had to be made. */
static int give_some(struct tree_tar *t, uint8_t *data, size_t size, size_t *ret_len, struct err *err)
{
	size_t len = min_size(t->head.len - t->head_at, size);

	*ret_len = len;
	if (len) {
		memcpy(data, t->head.data + t->head_at, len);
		t->head_at += len;
		return OK;
	}
	if (t->pieces)
		return give_data(t, data, size, ret_len, err);
	if (!t->zeros)
		return go_on(t, err);
	*ret_len = min_size(t->zeros, size);
	memset(data, 0, *ret_len);
	t->zeros -= *ret_len;
	return OK;
}

static bool is_over(const struct tree_tar *t)
{
	return t->ended && !t->zeros;
}

int tree_tar_read(struct tree_tar *t, uint8_t *data, size_t size, size_t *ret_len, struct err *err)
{
	size_t done = 0;

	while (done < size && !is_over(t)) {
		size_t len;
		int rc = give_some(t, data + done, size - done, &len, err);

		if (rc != OK)
			return rc;
		done += len;
	}
	*ret_len = done;
	return OK;
}

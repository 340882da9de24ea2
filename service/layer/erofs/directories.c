/*
 * The end of an image. What is still in the tree is collected, from the root down; then
 * each directory gets its place (they lead to each other in both directions, so all are
 * placed before one is written):
 *
 *	inodes with xattrs and the last part of their data, packed into blocks
 *	the full blocks of directories
 *
 * The root's inode is in block 0, which is written last of all.
 */
#include <inttypes.h>
#include <sys/stat.h>

#include "service/layer/erofs/dirents.h"
#include "service/layer/erofs/writing.h"
#include "store/types/digest.h"

struct ending {
	struct erofs_writer *w;
	struct erofs_directory *last; /* of the list of live ones, which begins with the root */
	uint64_t inodes;
	struct erofs_name **names; /* of one directory: room for the largest */
	size_t names_room;
	struct hasher hasher; /* of what is written here: for the UUID */
	uint8_t first[EROFS_BLOCK];
};

/* ---- names of a directory ---------------------------------------------------------- */

static int list_names(struct ending *e, const struct erofs_directory *d, struct err *err)
{
	if (d->n_names > e->names_room) {
		struct erofs_name **names = reallocarray(e->names, d->n_names, sizeof *names);

		if (!names)
			return fail_nomem(err);
		e->names = names;
		e->names_room = d->n_names;
	}
	erofs_tree_list(d, e->names);
	return OK;
}

static bool is_dots(const struct erofs_name *n)
{
	return n->text[0] == '.' && (n->len == 1 || (n->len == 2 && n->text[1] == '.'));
}

/* ---- what is in the image ----------------------------------------------------------- */

static int put_whiteout(struct ending *e, struct erofs_inode *inode, struct err *err)
{
	const struct erofs_attributes attributes = {
		.mode = S_IFCHR,
		.mtime = e->w->time.seconds,
		.mtime_ns = e->w->time.ns,
	};
	const struct erofs_facts facts = {
		.attributes = &attributes,
		.layout = EROFS_FLAT_PLAIN,
		.ino = ++e->w->inodes,
		.links = 1,
	};

	return erofs_put_inode(e->w, &facts, false, (struct bytes){ NULL, 0 }, inode, err);
}

static int count_file(struct ending *e, struct erofs_inode *inode, struct err *err)
{
	if (inode->links == EROFS_LINKS_MAX)
		return fail(err, E_LIMIT, "layer has a file with more than %d hard links", EROFS_LINKS_MAX);
	if (inode->links++)
		return OK;
	e->inodes++;
	return inode->is_whiteout ? put_whiteout(e, inode, err) : OK;
}

static void append_live(struct ending *e, struct erofs_directory *d)
{
	d->next_live = NULL;
	if (e->last)
		e->last->next_live = d;
	e->last = d;
	e->inodes++;
}

static int collect_name(struct ending *e, struct erofs_directory *d, struct erofs_inode *inode, struct err *err)
{
	if (inode->type != EROFS_TYPE_DIRECTORY)
		return count_file(e, inode, err);
	d->subdirectories++;
	append_live(e, erofs_directory_of(inode));
	return OK;
}

static int mark(struct ending *e, struct erofs_directory *d, struct err *err)
{
	struct bytes *xattrs = &d->attributes.xattrs;
	int rc;

	if (!d->is_opaque && !d->has_whiteouts)
		return OK;
	rc = erofs_xattr_mark(&e->w->xattrs, *xattrs, d->is_opaque, d->has_whiteouts, xattrs, err);
	return rc == OK ? erofs_tree_keep(&e->w->tree, *xattrs, xattrs, err) : rc;
}

static int complete(struct ending *e, struct erofs_directory *d, struct err *err)
{
	int rc = mark(e, d, err);

	if (rc == OK)
		rc = erofs_tree_name(&e->w->tree, d, bytes_of("."), &d->inode, err);
	if (rc == OK)
		rc = erofs_tree_name(&e->w->tree, d, bytes_of(".."), &d->parent->inode, err);
	if (rc == OK && !d->has_attributes) {
		d->attributes.mtime = e->w->time.seconds;
		d->attributes.mtime_ns = e->w->time.ns;
	}
	return rc;
}

static int collect(struct ending *e, struct err *err)
{
	append_live(e, e->w->tree.root);
	for (struct erofs_directory *d = e->w->tree.root; d; d = d->next_live) {
		int rc = complete(e, d, err);

		if (rc == OK)
			rc = list_names(e, d, err);
		for (size_t i = 0; rc == OK && i < d->n_names; i++)
			if (!is_dots(e->names[i]))
				rc = collect_name(e, d, e->names[i]->inode, err);
		if (rc != OK)
			return rc;
		d->size = erofs_dirents_size(e->names, d->n_names);
	}
	return OK;
}

/* ---- places -------------------------------------------------------------------------- */

static struct erofs_facts facts_of(const struct erofs_directory *d)
{
	return (struct erofs_facts){
		.attributes = &d->attributes,
		.layout = d->is_inline ? EROFS_FLAT_INLINE : EROFS_FLAT_PLAIN,
		.size = d->size,
		.place = d->first_block,
		.links = d->subdirectories + 2,
	};
}

static size_t tail_of(const struct erofs_directory *d)
{
	return d->is_inline ? d->size % EROFS_BLOCK : 0;
}

static uint64_t blocks_of(const struct erofs_directory *d)
{
	return (d->size + EROFS_BLOCK - 1) / EROFS_BLOCK - d->is_inline;
}

static size_t head_of(const struct erofs_writer *w, const struct erofs_directory *d)
{
	struct erofs_facts f = facts_of(d);

	return erofs_inode_len(erofs_inode_is_extended(&f, w->time)) + d->attributes.xattrs.len;
}

static void choose_layout(const struct erofs_writer *w, struct erofs_directory *d, size_t room)
{
	size_t tail = d->size % EROFS_BLOCK;

	d->is_inline = tail && head_of(w, d) + tail <= room;
}

static int place_root(struct ending *e, struct err *err)
{
	struct erofs_directory *root = e->w->tree.root;

	choose_layout(e->w, root, EROFS_ROOT_ROOM);
	root->nid = EROFS_ROOT_NID;
	if (head_of(e->w, root) > EROFS_ROOT_ROOM)
		return fail(err, E_LIMIT, "layer has a root directory with more than %zu bytes of extended attributes",
			    EROFS_ROOT_ROOM - sizeof(struct erofs_inode_extended));
	return OK;
}

/* What fits into a block does not cross one. */
static void place_inode(struct ending *e, struct erofs_directory *d, uint64_t *at)
{
	size_t len;

	choose_layout(e->w, d, EROFS_BLOCK);
	len = head_of(e->w, d) + tail_of(d);
	if (*at % EROFS_BLOCK + len > EROFS_BLOCK)
		*at += -*at % EROFS_BLOCK;
	d->nid = *at / EROFS_SLOT;
	*at += len;
	*at += -*at % EROFS_SLOT;
}

static int place_all(struct ending *e, struct err *err)
{
	struct erofs_directory *root = e->w->tree.root;
	uint64_t at = erofs_output_end(&e->w->output), block;
	int rc = place_root(e, err);

	for (struct erofs_directory *d = root->next_live; d; d = d->next_live)
		place_inode(e, d, &at);
	block = (at + EROFS_BLOCK - 1) / EROFS_BLOCK;
	for (struct erofs_directory *d = root; d; d = d->next_live) {
		d->first_block = blocks_of(d) ? (uint32_t)block : 0;
		block += blocks_of(d);
	}
	return rc; /* whether it all fits is seen when it is written */
}

/* ---- writing -------------------------------------------------------------------------- */

static int put(struct ending *e, struct bytes b, struct err *err)
{
	hasher_update(&e->hasher, b.data, b.len);
	return erofs_output_append(&e->w->output, b.data, b.len, err);
}

struct head {
	union erofs_inode_bytes room;
	struct bytes inode;
};

static void write_head(struct ending *e, const struct erofs_directory *d, struct head *h)
{
	struct erofs_facts f = facts_of(d);
	bool is_extended = erofs_inode_is_extended(&f, e->w->time);

	f.ino = ++e->w->inodes;
	h->inode = erofs_inode_write(&f, is_extended, &h->room);
}

/* The names of the last block of a directory, of those in e->names. */
static struct erofs_name **last_names(const struct ending *e, size_t n, size_t *ret_n)
{
	struct erofs_name **names = e->names;
	size_t len, fit = erofs_dirents_fit(names, n, &len);

	while (fit < n) {
		names += fit;
		n -= fit;
		fit = erofs_dirents_fit(names, n, &len);
	}
	*ret_n = n;
	return names;
}

static int tail_block(struct ending *e, const struct erofs_directory *d, uint8_t block[EROFS_BLOCK], struct err *err)
{
	struct erofs_name **names;
	size_t n = 0;
	int rc = list_names(e, d, err);

	if (rc != OK)
		return rc;
	names = last_names(e, d->n_names, &n);
	erofs_dirents_write(names, n, &e->w->meta, block);
	return OK;
}

static int write_inode(struct ending *e, const struct erofs_directory *d, struct err *err)
{
	uint8_t block[EROFS_BLOCK];
	struct head h;
	int rc = erofs_output_zeros(&e->w->output, d->nid * EROFS_SLOT - erofs_output_end(&e->w->output), err);

	write_head(e, d, &h);
	if (rc == OK)
		rc = put(e, h.inode, err);
	if (rc == OK)
		rc = put(e, d->attributes.xattrs, err);
	if (rc == OK && d->is_inline)
		rc = tail_block(e, d, block, err);
	if (rc == OK && d->is_inline)
		rc = put(e, (struct bytes){ block, tail_of(d) }, err);
	return rc;
}

static int write_root(struct ending *e, struct err *err)
{
	const struct erofs_directory *root = e->w->tree.root;
	struct bytes xattrs = root->attributes.xattrs;
	uint8_t *at = e->first + EROFS_ROOT_OFFSET, block[EROFS_BLOCK];
	struct head h;
	int rc = root->is_inline ? tail_block(e, root, block, err) : OK;

	if (rc != OK)
		return rc;
	write_head(e, root, &h);
	memcpy(at, h.inode.data, h.inode.len);
	at += h.inode.len;
	if (xattrs.len)
		memcpy(at, xattrs.data, xattrs.len);
	memcpy(at + xattrs.len, block, tail_of(root));
	hasher_update(&e->hasher, e->first, sizeof e->first);
	return OK;
}

static int write_blocks(struct ending *e, const struct erofs_directory *d, struct err *err)
{
	uint64_t blocks = blocks_of(d);
	struct erofs_name **names;
	size_t n = d->n_names, len;
	int rc = blocks ? list_names(e, d, err) : OK;

	names = e->names;
	while (rc == OK && blocks--) {
		uint8_t block[EROFS_BLOCK];
		size_t fit = erofs_dirents_fit(names, n, &len);

		erofs_dirents_write(names, fit, &e->w->meta, block);
		rc = put(e, (struct bytes){ block, sizeof block }, err);
		names += fit;
		n -= fit;
	}
	return rc;
}

static int write_all(struct ending *e, struct err *err)
{
	struct erofs_directory *root = e->w->tree.root;
	int rc = write_root(e, err);

	for (struct erofs_directory *d = root->next_live; rc == OK && d; d = d->next_live)
		rc = write_inode(e, d, err);
	if (rc == OK)
		rc = erofs_output_align(&e->w->output, err);
	for (struct erofs_directory *d = root; rc == OK && d; d = d->next_live)
		rc = write_blocks(e, d, err);
	return rc == OK ? erofs_output_flush(&e->w->output, err) : rc;
}

/* ---- the very end ----------------------------------------------------------------------- */

static int patch_links(struct ending *e, struct err *err)
{
	int rc = OK;

	for (const struct erofs_inode *i = e->w->tree.linked; rc == OK && i; i = i->next_linked) {
		uint8_t room[4];
		size_t at;
		struct bytes links = erofs_inode_links(i->links, i->is_extended, room, &at);

		if (i->links > 1)
			rc = erofs_output_patch(&e->w->output, erofs_meta_nid(&e->w->meta, i->place) * EROFS_SLOT + at,
						links.data, links.len, err);
	}
	return rc;
}

static uint32_t features(const struct erofs_writer *w)
{
	return w->has_chunks ? EROFS_INCOMPAT_CHUNKS : 0;
}

static void fill_super(struct ending *e, struct erofs_super *s)
{
	const struct erofs_writer *w = e->w;
	struct digest d = hasher_final(&e->hasher);

	*s = (struct erofs_super){
		.magic = htole32(EROFS_MAGIC),
		.feature_compat = htole32(EROFS_COMPAT_CHECKSUM | EROFS_COMPAT_MTIME),
		.block_bits = EROFS_BLOCK_BITS,
		.root_nid = htole16(EROFS_ROOT_NID),
		.inodes = htole64(e->inodes),
		.time = htole64((uint64_t)w->time.seconds),
		.time_ns = htole32(w->time.ns),
		.blocks = htole32(erofs_output_block(&w->output)),
		.feature_incompat = htole32(features(w)),
	};
	memcpy(s->uuid, d.bytes, sizeof s->uuid);
	s->uuid[6] = (uint8_t)((s->uuid[6] & 0x0f) | 0x80); /* RFC 9562: version 8, made as one likes */
	s->uuid[8] = (uint8_t)((s->uuid[8] & 0x3f) | 0x80);
}

static int write_super(struct ending *e, struct err *err)
{
	struct erofs_super super;
	uint8_t *at = e->first + EROFS_SUPER_OFFSET;

	fill_super(e, &super);
	memcpy(at, &super, sizeof super);
	super.checksum = htole32(erofs_crc32c(at, EROFS_BLOCK - EROFS_SUPER_OFFSET));
	memcpy(at, &super, sizeof super);
	return erofs_output_patch(&e->w->output, 0, e->first, sizeof e->first, err);
}

static void ending_free(struct ending **e)
{
	if (*e)
		free((*e)->names);
	free(*e);
}

int erofs_write_directories(struct erofs_writer *w, struct erofs_result *result, struct err *err)
{
	CLEANUP(ending_free) struct ending *e = calloc(1, sizeof *e);
	int rc;

	if (!e)
		return fail_nomem(err);
	e->w = w;
	hasher_init(&e->hasher, DIGEST_SHA256);
	rc = collect(e, err);
	if (rc == OK)
		rc = erofs_meta_flush(&w->meta, err);
	if (rc == OK)
		rc = place_all(e, err);
	if (rc == OK)
		rc = write_all(e, err);
	if (rc == OK)
		rc = patch_links(e, err);
	if (rc == OK)
		rc = write_super(e, err);
	result->image_bytes = erofs_output_end(&w->output);
	result->inodes = e->inodes;
	result->root_is_opaque = w->tree.root->is_opaque;
	return rc;
}

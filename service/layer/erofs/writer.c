#include "service/layer/erofs/writing.h"

#include <inttypes.h>
#include <sys/stat.h>

enum { TARGET_MAX = 4095 }; /* of a symlink: PATH_MAX with its NUL */

static const uint64_t image_max = UINT64_C(1) << 44; /* block numbers have 32 bits */

struct erofs_limits erofs_limits_default(void)
{
	return (struct erofs_limits){
		.entries = 10 * 1000 * 1000,
		.file_bytes = UINT64_C(512) << 30,
		.image_bytes = UINT64_C(512) << 30,
		.tree_bytes = UINT64_C(1) << 30,
		.xattr_bytes = 64 * 1024,
	};
}

static int fail_entry(const struct tar_item *item, const char *what, struct err *err)
{
	return fail(err, E_BAD_CONTENT, "layer has %s: '%.*s'", what, (int)min_size(item->name.len, 128),
		    (const char *)item->name.data);
}

/* ---- attributes --------------------------------------------------------------------- */

static uint16_t type_bits(enum tar_kind kind)
{
	switch (kind) {
	case TAR_KIND_DIRECTORY:
		return S_IFDIR;
	case TAR_KIND_SYMLINK:
		return S_IFLNK;
	case TAR_KIND_CHAR_DEVICE:
		return S_IFCHR;
	case TAR_KIND_BLOCK_DEVICE:
		return S_IFBLK;
	case TAR_KIND_FIFO:
		return S_IFIFO;
	default:
		return S_IFREG;
	}
}

static int read_attributes(struct erofs_writer *w, const struct tar_item *item, struct err *err)
{
	const struct tar_attributes *a = &item->attributes;
	const struct erofs_xattr_rules rules = {
		.max_bytes = min_size(w->limits.xattr_bytes, EROFS_XATTRS_MAX),
		.drop_trusted = w->limits.drop_trusted,
	};
	uint16_t mode = item->kind == TAR_KIND_SYMLINK ? 0777 : a->mode;

	w->attributes = (struct erofs_attributes){
		.mode = (uint16_t)(type_bits(item->kind) | mode),
		.uid = a->uid,
		.gid = a->gid,
		.mtime = a->mtime,
		.mtime_ns = a->mtime_ns,
	};
	return erofs_xattr_read(&w->xattrs, item, &rules, &w->attributes.xattrs, err);
}

/* ---- names -------------------------------------------------------------------------- */

/* Names what is no directory. */
static int name_inode(struct erofs_writer *w, struct erofs_inode *inode, struct err *err)
{
	return erofs_tree_name(&w->tree, w->directory, w->path.last, inode, err);
}

/* Nothing of the layer itself is hidden by its whiteouts (OCI image-spec, layer.md). */
static int take_whiteout(struct erofs_writer *w, struct err *err)
{
	struct erofs_name *known = erofs_tree_find(w->directory, w->path.last);
	struct erofs_inode *inode;
	int rc;

	if (known) {
		if (known->inode->type == EROFS_TYPE_DIRECTORY)
			erofs_directory_of(known->inode)->is_opaque = true;
		return OK;
	}
	rc = erofs_tree_make_inode(&w->tree, EROFS_TYPE_CHAR, &inode, err);
	if (rc != OK)
		return rc;
	inode->is_whiteout = true;
	w->directory->has_whiteouts = true;
	return name_inode(w, inode, err);
}

/* ---- kinds of entries ----------------------------------------------------------------- */

static int find_directory(struct erofs_writer *w, struct erofs_directory **ret_directory, struct err *err)
{
	struct erofs_name *known;
	bool hides;
	int rc;

	if (!w->path.last.len) {
		*ret_directory = w->tree.root;
		return OK;
	}
	known = erofs_tree_find(w->directory, w->path.last);
	if (known && known->inode->type == EROFS_TYPE_DIRECTORY) {
		*ret_directory = erofs_directory_of(known->inode);
		return OK;
	}
	hides = known && known->inode->is_whiteout;
	rc = erofs_tree_make_directory(&w->tree, w->directory, w->path.last, ret_directory, err);
	if (rc == OK)
		(*ret_directory)->is_opaque = hides;
	return rc;
}

static int take_directory(struct erofs_writer *w, struct err *err)
{
	struct erofs_directory *d;
	struct bytes xattrs = { NULL, 0 };
	int rc = find_directory(w, &d, err);

	if (rc == OK && w->attributes.xattrs.len)
		rc = erofs_tree_keep(&w->tree, w->attributes.xattrs, &xattrs, err);
	if (rc != OK)
		return rc;
	d->attributes = w->attributes;
	d->attributes.xattrs = xattrs;
	d->has_attributes = true;
	return OK;
}

static int take_symlink(struct erofs_writer *w, const struct tar_item *item, struct err *err)
{
	struct erofs_inode *inode;
	int rc;

	if (item->link.len > TARGET_MAX)
		return fail_entry(item, "a symbolic link with a target that is too long", err);
	rc = erofs_tree_make_symlink(&w->tree, item->link, &inode, err);
	if (rc == OK)
		rc = erofs_file_whole(w, item->link, inode, err);
	return rc == OK ? name_inode(w, inode, err) : rc;
}

/* Devices and fifos. */
static int take_special(struct erofs_writer *w, const struct tar_item *item, struct err *err)
{
	static const enum erofs_type types[] = {
		[TAR_KIND_CHAR_DEVICE] = EROFS_TYPE_CHAR,
		[TAR_KIND_BLOCK_DEVICE] = EROFS_TYPE_BLOCK,
		[TAR_KIND_FIFO] = EROFS_TYPE_FIFO,
	};
	const struct erofs_facts facts = {
		.attributes = &w->attributes,
		.layout = EROFS_FLAT_PLAIN,
		.place = erofs_device(item->attributes.major, item->attributes.minor),
		.ino = ++w->inodes,
		.links = 1,
	};
	struct erofs_inode *inode;
	int rc = erofs_tree_make_inode(&w->tree, types[item->kind], &inode, err);

	if (rc == OK)
		rc = erofs_put_inode(w, &facts, erofs_inode_is_extended(&facts, w->time), (struct bytes){ NULL, 0 },
				     inode, err);
	return rc == OK ? name_inode(w, inode, err) : rc;
}

/* What a hard link leads to, or NULL. */
static int find_target(struct erofs_writer *w, const struct tar_item *item, struct erofs_name **ret_name,
		       struct err *err)
{
	struct erofs_path target;
	struct erofs_directory *d;
	int rc = erofs_path_parse(item->link, &target, err);

	if (rc == OK)
		rc = erofs_path_directory(&target, &w->tree, false, &d, err);
	if (rc != OK)
		return rc;
	*ret_name = NULL;
	if (target.kind == EROFS_PATH_PLAIN && target.last.len)
		*ret_name = erofs_tree_find(d, target.last);
	return OK;
}

static int take_hard_link(struct erofs_writer *w, const struct tar_item *item, struct err *err)
{
	struct erofs_name *known = NULL;
	struct erofs_inode *inode;
	int rc = find_target(w, item, &known, err);

	if (rc != OK)
		return rc;
	if (!known || known->inode->is_whiteout)
		return fail_entry(item, "a hard link to a file that is not in it", err);
	inode = known->inode;
	if (inode->type == EROFS_TYPE_DIRECTORY)
		return fail_entry(item, "a hard link to a directory", err);
	if (!inode->is_linked) {
		inode->is_linked = true;
		inode->next_linked = w->tree.linked;
		w->tree.linked = inode;
	}
	return name_inode(w, inode, err);
}

static int take_plain(struct erofs_writer *w, const struct tar_item *item, struct err *err)
{
	int rc;

	if (!w->path.last.len && item->kind != TAR_KIND_DIRECTORY)
		return fail_entry(item, "a file in the place of its root directory", err);
	if (item->kind == TAR_KIND_HARD_LINK)
		return take_hard_link(w, item, err);
	rc = read_attributes(w, item, err);
	if (rc != OK)
		return rc;
	switch (item->kind) {
	case TAR_KIND_DIRECTORY:
		return take_directory(w, err);
	case TAR_KIND_SYMLINK:
		return take_symlink(w, item, err);
	case TAR_KIND_REGULAR:
		w->takes_data = true;
		return erofs_file_begin(w, item, err);
	default:
		return take_special(w, item, err);
	}
}

/* ---- the tar's entries ------------------------------------------------------------------ */

static void take_time(struct erofs_writer *w, const struct tar_item *item)
{
	if (w->has_time)
		return;
	w->time = (struct erofs_time){ item->attributes.mtime, item->attributes.mtime_ns };
	w->has_time = true;
}

static int begin_entry(void *arg, const struct tar_item *item, struct err *err)
{
	struct erofs_writer *w = arg;
	int rc = erofs_path_parse(item->name, &w->path, err);

	w->takes_data = false;
	if (rc != OK || w->path.kind == EROFS_PATH_AUFS)
		return rc;
	take_time(w, item);
	rc = erofs_path_directory(&w->path, &w->tree, true, &w->directory, err);
	if (rc != OK)
		return rc;
	switch (w->path.kind) {
	case EROFS_PATH_WHITEOUT:
		return take_whiteout(w, err);
	case EROFS_PATH_OPAQUE:
		w->directory->is_opaque = true;
		return OK;
	default:
		return take_plain(w, item, err);
	}
}

static int take_data(void *arg, const uint8_t *data, size_t len, struct err *err)
{
	struct erofs_writer *w = arg;

	return w->takes_data ? erofs_file_data(w, data, len, err) : OK;
}

static int end_entry(void *arg, struct err *err)
{
	struct erofs_writer *w = arg;
	struct erofs_inode *inode;
	int rc;

	if (!w->takes_data)
		return OK;
	rc = erofs_tree_make_inode(&w->tree, EROFS_TYPE_REGULAR, &inode, err);
	if (rc == OK)
		rc = erofs_file_end(w, inode, err);
	return rc == OK ? name_inode(w, inode, err) : rc;
}

/* ---- the writer -------------------------------------------------------------------------- */

static int init(struct erofs_writer *w, int fd, struct err *err)
{
	const struct tar_sink sink = { w, begin_entry, take_data, end_entry };
	uint64_t max = w->limits.image_bytes < image_max ? w->limits.image_bytes : image_max;
	int rc = erofs_tree_init(&w->tree, w->limits.tree_bytes, err);

	erofs_xattr_init(&w->xattrs);
	if (rc == OK)
		rc = erofs_output_init(&w->output, fd, max, err);
	if (rc == OK)
		rc = erofs_meta_init(&w->meta, &w->output, err);
	if (rc == OK)
		rc = tar_stream_new(&sink, w->limits.entries, w->limits.file_bytes, &w->stream, err);
	return rc;
}

int erofs_writer_new(int fd, const struct erofs_limits *limits, struct erofs_writer **ret_writer, struct err *err)
{
	CLEANUP(erofs_writer_freep) struct erofs_writer *w = calloc(1, sizeof *w);
	int rc;

	if (!w)
		return fail_nomem(err);
	w->limits = *limits;
	rc = init(w, fd, err);
	if (rc == OK)
		*ret_writer = TAKE(w);
	return rc;
}

void erofs_writer_free(struct erofs_writer *w)
{
	if (!w)
		return;
	tar_stream_free(w->stream);
	erofs_chunks_free(&w->file.chunks);
	erofs_meta_free(&w->meta);
	erofs_output_free(&w->output);
	erofs_xattr_free(&w->xattrs);
	erofs_tree_free(&w->tree);
	free(w);
}

void erofs_writer_freep(struct erofs_writer **w)
{
	erofs_writer_free(*w);
}

int erofs_writer_feed(struct erofs_writer *w, const uint8_t *data, size_t len, struct err *err)
{
	return tar_stream_feed(w->stream, data, len, err);
}

int erofs_writer_finish(struct erofs_writer *w, struct erofs_result *ret_result, struct err *err)
{
	struct erofs_result result = { 0 };
	int rc = tar_stream_finish(w->stream, err);

	if (rc == OK)
		rc = erofs_write_directories(w, &result, err);
	if (rc != OK)
		return rc;
	result.tar_bytes = tar_stream_bytes(w->stream);
	result.entries = tar_stream_entries(w->stream);
	*ret_result = result;
	return OK;
}

#include "service/layer/erofs/checking.h"

struct directory {
	const struct check_inode *inode;
	uint64_t parent;
	unsigned dots;	 /* how many of "." and ".." came */
	size_t last_len; /* of the name before; 0: none yet */
	uint8_t last[EROFS_NAME_MAX];
	int (*take)(void *arg, const struct check_entry *entry, struct err *err);
	void *arg;
	uint8_t block[EROFS_BLOCK];
};

/* ---- names ----------------------------------------------------------------------- */

static bool comes_after(const struct directory *d, struct bytes name)
{
	size_t common = d->last_len < name.len ? d->last_len : name.len;
	int order = memcmp(d->last, name.data, common);

	return order < 0 || (!order && d->last_len < name.len);
}

static bool is_name(struct bytes name)
{
	return name.len && name.len <= EROFS_NAME_MAX && !memchr(name.data, 0, name.len) &&
	       !memchr(name.data, '/', name.len);
}

static bool is_dots(struct bytes name)
{
	return name.data[0] == '.' && (name.len == 1 || (name.len == 2 && name.data[1] == '.'));
}

/* ---- a block ----------------------------------------------------------------------- */

static struct erofs_dirent dirent_at(const struct directory *d, size_t k)
{
	struct erofs_dirent e;

	memcpy(&e, d->block + k * sizeof e, sizeof e);
	return e;
}

/* The name of entry k of n: up to the next one's; the last up to a NUL, or the end. */
static bool name_at(const struct directory *d, size_t k, size_t n, size_t len, struct bytes *ret_name)
{
	size_t from = le16toh(dirent_at(d, k).name_offset), to = len;

	if (k + 1 < n)
		to = le16toh(dirent_at(d, k + 1).name_offset);
	if (from < n * sizeof(struct erofs_dirent) || from >= to || to > len)
		return false;
	*ret_name = (struct bytes){ d->block + from, to - from };
	if (k + 1 == n)
		ret_name->len = strnlen((const char *)ret_name->data, ret_name->len);
	return is_name(*ret_name);
}

static int take_dots(struct directory *d, const struct check_entry *e, struct err *err)
{
	uint64_t wanted = e->name.len == 1 ? d->inode->nid : d->parent;

	if (e->nid != wanted || e->type != EROFS_TYPE_DIRECTORY)
		return check_fail("a directory that leads to a wrong one above", d->inode->nid, err);
	d->dots++;
	return OK;
}

static int take_entry(struct directory *d, const struct check_entry *e, struct err *err)
{
	if (!comes_after(d, e->name))
		return check_fail("a directory whose names are not in order", d->inode->nid, err);
	memcpy(d->last, e->name.data, e->name.len);
	d->last_len = e->name.len;
	return is_dots(e->name) ? take_dots(d, e, err) : d->take(d->arg, e, err);
}

static int take_block(struct directory *d, size_t len, struct err *err)
{
	size_t n = 0;

	if (len >= sizeof(struct erofs_dirent))
		n = le16toh(dirent_at(d, 0).name_offset) / sizeof(struct erofs_dirent);
	if (!n || n * sizeof(struct erofs_dirent) >= len ||
	    le16toh(dirent_at(d, 0).name_offset) % sizeof(struct erofs_dirent))
		return check_fail("a directory with a bad block", d->inode->nid, err);
	for (size_t k = 0; k < n; k++) {
		struct erofs_dirent raw = dirent_at(d, k);
		struct check_entry e = { .nid = le64toh(raw.nid), .type = raw.type };
		int rc;

		if (!name_at(d, k, n, len, &e.name))
			return check_fail("a directory with a bad name", d->inode->nid, err);
		rc = take_entry(d, &e, err);
		if (rc != OK)
			return rc;
	}
	return OK;
}

/* ---- all of them ------------------------------------------------------------------- */

static int take_blocks(struct directory *d, struct check_image *i, struct err *err)
{
	uint64_t left = d->inode->size;

	for (uint64_t number = 0; left; number++) {
		size_t len = min_size(left, EROFS_BLOCK);
		int rc = check_read(i, check_inode_data(d->inode, number), d->block, len, err);

		if (rc == OK)
			rc = take_block(d, len, err);
		if (rc != OK)
			return rc;
		left -= len;
	}
	return d->dots == 2 ? OK : check_fail("a directory without \".\" or \"..\"", d->inode->nid, err);
}

int check_directory(struct check_image *i, const struct check_inode *directory, uint64_t parent,
		    int (*take)(void *arg, const struct check_entry *entry, struct err *err), void *arg,
		    struct err *err)
{
	CLEANUP(freep) struct directory *d = malloc(sizeof *d);

	if (!d)
		return fail_nomem(err);
	d->inode = directory;
	d->parent = parent;
	d->dots = 0;
	d->last_len = 0;
	d->take = take;
	d->arg = arg;
	return take_blocks(d, i, err);
}

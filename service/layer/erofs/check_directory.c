#include "service/layer/erofs/checking.h"

struct directory {
	const struct erofs_node *inode;
	uint64_t parent;
	unsigned dots;	 /* how many of "." and ".." came */
	size_t last_len; /* of the name before; 0: none yet */
	uint8_t last[EROFS_NAME_MAX];
	int (*take)(void *arg, const struct check_entry *entry, struct err *err);
	void *arg;
	uint8_t block[EROFS_BLOCK];
};

/* ---- a block ----------------------------------------------------------------------- */

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
	if (!check_comes_after(e->name, (struct bytes){ d->last, d->last_len }))
		return check_fail("a directory whose names are not in order", d->inode->nid, err);
	memcpy(d->last, e->name.data, e->name.len);
	d->last_len = e->name.len;
	return check_is_dots(e->name) ? take_dots(d, e, err) : d->take(d->arg, e, err);
}

static int take_block(struct directory *d, size_t len, struct err *err)
{
	size_t n = check_dirents(d->block, len);

	if (!n)
		return check_fail("a directory with a bad block", d->inode->nid, err);
	for (size_t k = 0; k < n; k++) {
		struct check_entry e;
		int rc;

		if (!check_dirent(d->block, len, n, k, &e))
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

int check_directory(struct check_image *i, const struct erofs_node *directory, uint64_t parent,
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

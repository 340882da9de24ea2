#include "service/layer/erofs/reading.h"

static uint32_t last_block(const struct erofs_cursor *c)
{
	return (uint32_t)((c->size - 1) >> EROFS_BLOCK_BITS);
}

/* The bytes of its block that count. */
static int view_block(struct erofs_reader *r, const struct erofs_cursor *c, struct bytes *ret_block, struct err *err)
{
	uint64_t before = (uint64_t)c->block << EROFS_BLOCK_BITS,
		 at = ((uint64_t)c->place << EROFS_BLOCK_BITS) + before;
	size_t len = min_size(c->size - before, EROFS_BLOCK);

	ret_block->len = len;
	return check_view(&r->image, c->is_inline && len < EROFS_BLOCK ? c->after : at, len, &ret_block->data, err);
}

int erofs_cursor_entry(struct erofs_reader *r, const struct erofs_cursor *c, struct erofs_entry *ret_entry,
		       struct err *err)
{
	struct check_entry e;
	struct bytes block;
	int rc = view_block(r, c, &block, err);

	if (rc != OK)
		return rc;
	if (!check_dirent(block.data, block.len, c->n, c->k, &e))
		return check_fail("a directory with a bad name", c->nid, err);
	*ret_entry = (struct erofs_entry){ e.nid, e.type, e.name };
	return OK;
}

static int enter_block(struct erofs_reader *r, struct erofs_cursor *c, struct err *err)
{
	struct bytes block;
	size_t n;
	int rc = view_block(r, c, &block, err);

	if (rc != OK)
		return rc;
	n = check_dirents(block.data, block.len);
	if (!n)
		return check_fail("a directory with a bad block", c->nid, err);
	c->n = (uint16_t)n;
	c->k = 0;
	return OK;
}

/* To the next entry, whatever it is. */
static int step(struct erofs_reader *r, struct erofs_cursor *c, struct err *err)
{
	if (++c->k < c->n)
		return OK;
	if (c->block == last_block(c)) {
		c->n = 0;
		return OK;
	}
	c->block++;
	return enter_block(r, c, err);
}

static int skip_dots(struct erofs_reader *r, struct erofs_cursor *c, struct err *err)
{
	struct erofs_entry e;
	int rc = OK;

	while (rc == OK && c->n) {
		rc = erofs_cursor_entry(r, c, &e, err);
		if (rc != OK || !check_is_dots(e.name))
			return rc;
		rc = step(r, c, err);
	}
	return rc;
}

static struct erofs_cursor cursor_of(const struct erofs_node *directory)
{
	return (struct erofs_cursor){
		.nid = directory->nid,
		.size = directory->size,
		.after = directory->after,
		.place = directory->place,
		.is_inline = directory->layout == EROFS_FLAT_INLINE,
	};
}

int erofs_cursor_begin(struct erofs_reader *r, const struct erofs_node *directory, struct erofs_cursor *ret_cursor,
		       struct err *err)
{
	struct erofs_cursor c = cursor_of(directory);
	int rc = enter_block(r, &c, err);

	if (rc == OK)
		rc = skip_dots(r, &c, err);
	if (rc == OK)
		*ret_cursor = c;
	return rc;
}

/* Names must rise, or a merge of several directories would show one of them twice. */
int erofs_cursor_next(struct erofs_reader *r, struct erofs_cursor *c, struct err *err)
{
	uint8_t before[EROFS_NAME_MAX];
	struct erofs_entry e;
	size_t len;
	int rc = erofs_cursor_entry(r, c, &e, err);

	if (rc != OK)
		return rc;
	len = e.name.len;
	memcpy(before, e.name.data, len);
	rc = step(r, c, err);
	if (rc == OK)
		rc = skip_dots(r, c, err);
	if (rc == OK && c->n)
		rc = erofs_cursor_entry(r, c, &e, err);
	if (rc == OK && c->n && !check_comes_after(e.name, (struct bytes){ before, len }))
		return check_fail("a directory whose names are not in order", c->nid, err);
	return rc;
}

/* ---- one name --------------------------------------------------------------------------- */

static int compare(struct bytes a, struct bytes b)
{
	int order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* The last block whose first name is not behind `name`; the first one when there is none. */
static int enter_block_of(struct erofs_reader *r, struct erofs_cursor *c, struct bytes name, struct err *err)
{
	uint32_t from = 0, to = last_block(c);
	struct erofs_entry e;
	int rc = OK;

	while (rc == OK && from < to) {
		c->block = from + (to - from + 1) / 2;
		rc = enter_block(r, c, err);
		if (rc == OK)
			rc = erofs_cursor_entry(r, c, &e, err);
		if (rc == OK && compare(e.name, name) <= 0)
			from = c->block;
		else
			to = c->block - 1;
	}
	c->block = from;
	return rc == OK ? enter_block(r, c, err) : rc;
}

static int find_in_block(struct erofs_reader *r, struct erofs_cursor *c, struct bytes name, bool *ret_found,
			 struct erofs_entry *ret_entry, struct err *err)
{
	size_t from = 0, to = c->n;

	*ret_found = false;
	while (from < to) {
		struct erofs_entry e;
		int rc, order;

		c->k = (uint16_t)(from + (to - from) / 2);
		rc = erofs_cursor_entry(r, c, &e, err);
		if (rc != OK)
			return rc;
		order = compare(e.name, name);
		if (!order) {
			*ret_found = true;
			*ret_entry = e;
			return OK;
		}
		if (order < 0)
			from = (size_t)c->k + 1;
		else
			to = c->k;
	}
	return OK;
}

int erofs_find(struct erofs_reader *r, const struct erofs_node *directory, struct bytes name, bool *ret_found,
	       struct erofs_entry *ret_entry, struct err *err)
{
	struct erofs_cursor c = cursor_of(directory);
	int rc;

	*ret_found = false;
	if (!name.len || check_is_dots(name))
		return OK;
	rc = enter_block_of(r, &c, name, err);
	return rc == OK ? find_in_block(r, &c, name, ret_found, ret_entry, err) : rc;
}

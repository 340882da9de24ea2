#include <sys/stat.h>

#include "service/layer/erofs/reading.h"

enum { MAP_PIECE = 256 };

int erofs_reader_open(int fd, size_t cached, struct erofs_reader **ret_reader, struct err *err)
{
	CLEANUP(erofs_reader_closep) struct erofs_reader *r = calloc(1, sizeof *r);
	int rc;

	if (!r) {
		close(fd);
		return fail_nomem(err);
	}
	rc = check_image_init(&r->image, fd, cached, err);
	if (rc == OK)
		rc = check_super(&r->image, err);
	if (rc == OK)
		*ret_reader = TAKE(r);
	return rc;
}

void erofs_reader_close(struct erofs_reader *r)
{
	if (!r)
		return;
	close(r->image.fd);
	check_image_free(&r->image);
	free(r);
}

void erofs_reader_closep(struct erofs_reader **r)
{
	erofs_reader_close(*r);
}

/* ---- inodes ----------------------------------------------------------------------------- */

int erofs_read_node(struct erofs_reader *r, uint64_t nid, uint8_t type, struct erofs_node *ret_node, struct err *err)
{
	struct erofs_node n;
	int rc = check_inode(&r->image, nid, &n, err);

	if (rc != OK)
		return rc;
	if (!check_type(type, n.mode))
		return check_fail("an entry of another type than its inode", nid, err);
	*ret_node = n;
	return OK;
}

int erofs_read_root(struct erofs_reader *r, struct erofs_node *ret_node, struct err *err)
{
	return erofs_read_node(r, EROFS_ROOT_NID, EROFS_TYPE_DIRECTORY, ret_node, err);
}

uint32_t erofs_node_device(const struct erofs_node *n)
{
	return n->place;
}

bool erofs_node_is_whiteout(const struct erofs_node *n)
{
	return S_ISCHR(n->mode) && !n->place;
}

/* ---- extended attributes ---------------------------------------------------------------- */

int erofs_read_attributes(struct erofs_reader *r, const struct erofs_node *n, struct buf *out, struct err *err)
{
	size_t head = sizeof(struct erofs_xattrs), len = n->xattrs_len < head ? 0 : n->xattrs_len - head;
	uint8_t *to;
	int rc;

	buf_reset(out);
	if (!len)
		return OK;
	to = buf_reserve(out, len);
	if (!to)
		return fail_nomem(err);
	rc = check_read(&r->image, n->xattrs + head, to, len, err);
	if (rc == OK)
		out->len = len;
	return rc;
}

static const char *prefix_of(uint8_t index)
{
	switch (index) {
	case EROFS_XATTR_USER:
		return "user.";
	case EROFS_XATTR_TRUSTED:
		return "trusted.";
	case EROFS_XATTR_SECURITY:
		return "security.";
	case EROFS_XATTR_ACL_ACCESS:
		return EROFS_ACL_ACCESS;
	case EROFS_XATTR_ACL_DEFAULT:
		return EROFS_ACL_DEFAULT;
	default:
		return NULL;
	}
}

static bool is_of_overlay(const struct check_xattr *x)
{
	static const char own[] = "overlay.";

	return (x->index == EROFS_XATTR_USER || x->index == EROFS_XATTR_TRUSTED) && x->name.len >= strlen(own) &&
	       !memcmp(x->name.data, own, strlen(own));
}

bool erofs_next_attribute(struct bytes *rest, struct erofs_attribute *ret_attribute)
{
	struct check_xattr x;

	while (rest->len && check_next_xattr(rest, &x)) {
		const char *prefix = prefix_of(x.index);

		if (!prefix || is_of_overlay(&x))
			continue;
		*ret_attribute = (struct erofs_attribute){ prefix, x.name, x.value };
		return true;
	}
	return false;
}

/* ---- data --------------------------------------------------------------------------------- */

int erofs_read_target(struct erofs_reader *r, const struct erofs_node *n, uint8_t target[EROFS_TARGET_MAX],
		      struct err *err)
{
	return check_read(&r->image, check_inode_data(n, 0), target, min_size(n->size, EROFS_TARGET_MAX), err);
}

/* Past the cache, which is for metadata. */
static int read_blocks(struct erofs_reader *r, uint64_t at, uint8_t *data, size_t len, struct err *err)
{
	while (len) {
		ssize_t n = pread(r->image.fd, data, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "read the layer's image");
		if (!n)
			return fail(err, E_CORRUPT, "layer's image is not sound: it became shorter");
		at += (uint64_t)n;
		data += n;
		len -= (size_t)n;
	}
	return OK;
}

static int read_flat(struct erofs_reader *r, const struct erofs_node *n, uint64_t offset, uint8_t *data, size_t len,
		     struct err *err)
{
	uint64_t whole = n->layout == EROFS_FLAT_INLINE ? n->size - n->size % EROFS_BLOCK : n->size;
	size_t from_blocks = offset < whole ? min_size(whole - offset, len) : 0;
	int rc = OK;

	if (from_blocks)
		rc = read_blocks(r, ((uint64_t)n->place << EROFS_BLOCK_BITS) + offset, data, from_blocks, err);
	offset += from_blocks;
	if (rc == OK && len > from_blocks)
		rc = check_read(&r->image, n->after + (offset - whole), data + from_blocks, len - from_blocks, err);
	return rc;
}

/* ---- chunks ------------------------------------------------------------------------------- */

static unsigned chunk_bits(const struct erofs_node *n)
{
	return EROFS_BLOCK_BITS + (n->place & EROFS_CHUNK_BITS);
}

static uint64_t chunks_of(const struct erofs_node *n)
{
	return (n->size >> chunk_bits(n)) + ((n->size & ((UINT64_C(1) << chunk_bits(n)) - 1)) != 0);
}

static int read_map(struct erofs_reader *r, const struct erofs_node *n, uint64_t chunk, uint32_t *map, size_t len,
		    struct err *err)
{
	return check_read(&r->image, n->after + chunk * sizeof *map, map, len * sizeof *map, err);
}

/* Of one chunk, as far as it goes. */
static int read_chunk(struct erofs_reader *r, const struct erofs_node *n, uint64_t offset, uint8_t *data, size_t len,
		      size_t *ret_done, struct err *err)
{
	uint64_t size = UINT64_C(1) << chunk_bits(n), within = offset & (size - 1);
	uint32_t block;
	int rc = read_map(r, n, offset >> chunk_bits(n), &block, 1, err);

	*ret_done = min_size(size - within, len);
	if (rc != OK)
		return rc;
	if (block != EROFS_NO_BLOCK)
		return read_blocks(r, ((uint64_t)le32toh(block) << EROFS_BLOCK_BITS) + within, data, *ret_done, err);
	memset(data, 0, *ret_done);
	return OK;
}

int erofs_read_data(struct erofs_reader *r, const struct erofs_node *n, uint64_t offset, uint8_t *data, size_t len,
		    struct err *err)
{
	if (!erofs_node_may_have_holes(n))
		return read_flat(r, n, offset, data, len, err);
	while (len) {
		size_t done;
		int rc = read_chunk(r, n, offset, data, len, &done, err);

		if (rc != OK)
			return rc;
		offset += done;
		data += done;
		len -= done;
	}
	return OK;
}

/* The first chunk from `chunk` on that is not as it is. */
static int end_of_run(struct erofs_reader *r, const struct erofs_node *n, uint64_t chunk, bool *ret_is_hole,
		      uint64_t *ret_end, struct err *err)
{
	uint64_t chunks = chunks_of(n), first = chunk;
	uint32_t map[MAP_PIECE];

	while (chunk < chunks) {
		size_t len = min_size(chunks - chunk, MAP_PIECE), k = 0;
		int rc = read_map(r, n, chunk, map, len, err);

		if (rc != OK)
			return rc;
		if (chunk == first)
			*ret_is_hole = map[0] == EROFS_NO_BLOCK;
		while (k < len && (map[k] == EROFS_NO_BLOCK) == *ret_is_hole)
			k++;
		chunk += k;
		if (k < len)
			break;
	}
	*ret_end = chunk;
	return OK;
}

int erofs_read_run(struct erofs_reader *r, const struct erofs_node *n, uint64_t offset, bool *ret_is_hole,
		   uint64_t *ret_len, struct err *err)
{
	uint64_t end, last = n->size;
	int rc;

	*ret_is_hole = false;
	if (erofs_node_may_have_holes(n)) {
		rc = end_of_run(r, n, offset >> chunk_bits(n), ret_is_hole, &end, err);
		if (rc != OK)
			return rc;
		if (end < chunks_of(n))
			last = end << chunk_bits(n);
	}
	*ret_len = last - offset;
	return OK;
}

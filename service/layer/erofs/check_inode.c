#include "service/layer/erofs/checking.h"

#include <sys/stat.h>

enum { MODE_BITS = 07777, TARGET_MAX = 4095, MAP_PIECE = 1024 };

/* ---- form ----------------------------------------------------------------------- */

static size_t xattrs_len(uint16_t count)
{
	return count ? sizeof(struct erofs_xattrs) + (size_t)EROFS_XATTR_UNIT * (count - 1) : 0;
}

static const char *take_compact(const struct erofs_inode_compact *c, struct erofs_node *n)
{
	n->mode = le16toh(c->mode);
	n->size = le32toh(c->size);
	n->place = le32toh(c->place);
	n->uid = le16toh(c->uid);
	n->gid = le16toh(c->gid);
	n->links = le16toh(c->nlink);
	if (!le16toh(c->nlink) || c->reserved || c->reserved2)
		return "a compact inode with a bad field";
	return NULL;
}

static const char *take_extended(const struct erofs_inode_extended *e, struct erofs_node *n)
{
	n->mode = le16toh(e->mode);
	n->size = le64toh(e->size);
	n->place = le32toh(e->place);
	n->uid = le32toh(e->uid);
	n->gid = le32toh(e->gid);
	n->links = le32toh(e->nlink);
	n->mtime = (int64_t)le64toh(e->mtime);
	n->mtime_ns = le32toh(e->mtime_ns);
	if (!le32toh(e->nlink) || e->reserved || le32toh(e->mtime_ns) >= 1000000000 || n->size > INT64_MAX)
		return "an extended inode with a bad field";
	return NULL;
}

/* Inode and xattrs; nothing of it crosses a block that need not. */
static int read_inode(struct check_image *i, uint64_t nid, struct erofs_node *n, struct err *err)
{
	union {
		struct erofs_inode_compact compact;
		struct erofs_inode_extended extended;
	} raw;
	uint64_t at = nid * EROFS_SLOT;
	const char *wrong;
	uint16_t format;
	size_t len;
	int rc;

	if (nid > i->size / EROFS_SLOT)
		return check_fail("an inode past its end", nid, err);
	rc = check_read(i, at, &raw.compact, sizeof raw.compact, err);
	if (rc != OK)
		return rc;
	format = le16toh(raw.compact.format);
	len = format & EROFS_EXTENDED ? sizeof raw.extended : sizeof raw.compact;
	if (format & ~EROFS_FORMAT_BITS || at % EROFS_BLOCK + len > EROFS_BLOCK)
		return check_fail("an inode of unknown form", nid, err);
	if (format & EROFS_EXTENDED)
		rc = check_read(i, at, &raw.extended, sizeof raw.extended, err);
	if (rc != OK)
		return rc;
	*n = (struct erofs_node){
		.nid = nid,
		.mtime = i->time,
		.mtime_ns = i->time_ns,
		.layout = format >> EROFS_LAYOUT_SHIFT,
		.xattrs = at + len,
	};
	n->xattrs_len = xattrs_len(le16toh(raw.compact.xattr_count));
	n->after = n->xattrs + n->xattrs_len;
	wrong = format & EROFS_EXTENDED ? take_extended(&raw.extended, n) : take_compact(&raw.compact, n);
	return wrong ? check_fail(wrong, nid, err) : OK;
}

/* ---- data ----------------------------------------------------------------------- */

/* Blocks of data are never block 0. */
static bool blocks_are_there(const struct check_image *i, uint32_t first, uint64_t n)
{
	return !n || (first && first < check_blocks(i) && n <= check_blocks(i) - first);
}

static const char *judge_plain(const struct check_image *i, const struct erofs_node *n)
{
	uint64_t blocks = (n->size >> EROFS_BLOCK_BITS) + (n->size % EROFS_BLOCK != 0);

	return blocks_are_there(i, n->place, blocks) ? NULL : "data past its end";
}

/* Inode, xattrs and tail are in one block. */
static const char *judge_inline(const struct check_image *i, const struct erofs_node *n)
{
	uint64_t block = n->nid * EROFS_SLOT >> EROFS_BLOCK_BITS, tail = n->size % EROFS_BLOCK;

	if (!tail || (n->after + tail - 1) >> EROFS_BLOCK_BITS != block)
		return "a tail across blocks";
	return blocks_are_there(i, n->place, n->size >> EROFS_BLOCK_BITS) ? NULL : "data past its end";
}

static const char *judge_map(const struct check_image *i, const uint32_t *map, size_t n, uint64_t chunk_blocks,
			     uint64_t *left)
{
	for (size_t k = 0; k < n; k++) {
		uint32_t block = le32toh(map[k]);
		uint64_t blocks = *left < chunk_blocks ? *left : chunk_blocks;

		if (block != EROFS_NO_BLOCK && !blocks_are_there(i, block, blocks))
			return "a chunk past its end";
		*left -= blocks;
	}
	return NULL;
}

static int check_chunks(struct check_image *i, const struct erofs_node *n, struct err *err)
{
	unsigned bits = n->place & EROFS_CHUNK_BITS;
	uint64_t left = (n->size >> EROFS_BLOCK_BITS) + (n->size % EROFS_BLOCK != 0);
	uint64_t chunks = (left >> bits) + ((left & ((UINT64_C(1) << bits) - 1)) != 0), at = n->after;

	if (!i->has_chunks || n->place & ~(uint32_t)EROFS_CHUNK_BITS)
		return check_fail("a chunk-based file of unknown form", n->nid, err);
	if (at > i->size || chunks > (i->size - at) / sizeof(uint32_t))
		return check_fail("a chunk map past its end", n->nid, err);
	while (chunks) {
		uint32_t map[MAP_PIECE];
		size_t k = min_size(chunks, MAP_PIECE);
		int rc = check_read(i, at, map, k * sizeof *map, err);
		const char *wrong = rc == OK ? judge_map(i, map, k, UINT64_C(1) << bits, &left) : NULL;

		if (rc != OK || wrong)
			return rc == OK ? check_fail(wrong, n->nid, err) : rc;
		at += k * sizeof *map;
		chunks -= k;
	}
	return OK;
}

static int check_layout(struct check_image *i, const struct erofs_node *n, struct err *err)
{
	const char *wrong;

	switch (n->layout) {
	case EROFS_FLAT_PLAIN:
		wrong = judge_plain(i, n);
		break;
	case EROFS_FLAT_INLINE:
		wrong = judge_inline(i, n);
		break;
	case EROFS_CHUNK_BASED:
		return check_chunks(i, n, err);
	default:
		wrong = "a layout that this program does not write";
		break;
	}
	return wrong ? check_fail(wrong, n->nid, err) : OK;
}

/* ---- type ----------------------------------------------------------------------- */

static const char *judge_target(struct check_image *i, const struct erofs_node *n, struct err *err)
{
	uint8_t target[TARGET_MAX];

	if (check_read(i, check_inode_data(n, 0), target, (size_t)n->size, err) != OK)
		return "a symbolic link that cannot be read";
	return memchr(target, 0, (size_t)n->size) ? "a symbolic link with a NUL in it" : NULL;
}

static const char *judge_type(const struct erofs_node *n)
{
	bool is_flat = n->layout != EROFS_CHUNK_BASED;

	switch (n->mode & S_IFMT) {
	case S_IFREG:
		return NULL;
	case S_IFDIR:
		return n->size && is_flat ? NULL : "a directory of unknown form";
	case S_IFLNK:
		return n->size && n->size <= TARGET_MAX && is_flat ? NULL : "a symbolic link of unknown form";
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return !n->size && n->layout == EROFS_FLAT_PLAIN ? NULL : "a device with data";
	default:
		return "an inode of unknown type";
	}
}

static uint8_t type_of(uint16_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return EROFS_TYPE_DIRECTORY;
	case S_IFLNK:
		return EROFS_TYPE_SYMLINK;
	case S_IFCHR:
		return EROFS_TYPE_CHAR;
	case S_IFBLK:
		return EROFS_TYPE_BLOCK;
	case S_IFIFO:
		return EROFS_TYPE_FIFO;
	case S_IFSOCK:
		return EROFS_TYPE_SOCKET;
	default:
		return EROFS_TYPE_REGULAR;
	}
}

bool check_type(uint8_t type, uint16_t mode)
{
	return type == type_of(mode);
}

uint64_t check_inode_data(const struct erofs_node *n, uint64_t number)
{
	bool is_tail = n->layout == EROFS_FLAT_INLINE && number == n->size >> EROFS_BLOCK_BITS;

	return is_tail ? n->after : (n->place + number) << EROFS_BLOCK_BITS;
}

int check_inode(struct check_image *i, uint64_t nid, struct erofs_node *ret_inode, struct err *err)
{
	const char *wrong;
	int rc = read_inode(i, nid, ret_inode, err);

	if (rc != OK)
		return rc;
	wrong = judge_type(ret_inode);
	if (wrong)
		return check_fail(wrong, nid, err);
	rc = check_layout(i, ret_inode, err);
	if (rc == OK)
		rc = check_xattrs(i, ret_inode, err);
	if (rc != OK || !S_ISLNK(ret_inode->mode))
		return rc;
	wrong = judge_target(i, ret_inode, err);
	return wrong ? check_fail(wrong, nid, err) : OK;
}

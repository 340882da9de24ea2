/*
 * Images of hostile bytes as layers of a tree. What the check takes is read to its end: with
 * the names that the check has counted, and the same bytes again. What it refuses gives no
 * byte; and the reader alone, without the check in front of it, does no harm on any.
 *
 * Input: a byte, then the image, which is filled up to whole blocks. With the byte's low
 * bit set, the superblock gets the checksum and the number of blocks that it should have;
 * with the next one, the image is laid over itself.
 */
#include <sys/mman.h>
#include <sys/stat.h>

#include "service/layer/erofs/check.h"
#include "service/tree/tree_tar.h"
#include "service/tree/view.h"
#include "tests/fuzz/erofs_repair.h"

enum { ENTRIES_MAX = 1000, BYTES_MAX = 16 * 1024 * 1024, CACHED = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* ---- the reader alone ------------------------------------------------------------------ */

/* What `n` has; nothing is said of whether it can be read. */
static void read_all_of(struct erofs_reader *r, const struct erofs_node *n)
{
	CLEANUP(buf_free) struct buf attributes = BUF_INIT(EROFS_XATTRS_MAX);
	uint8_t target[EROFS_TARGET_MAX], data[600];
	struct erofs_attribute a;
	struct bytes rest;
	bool is_hole;
	uint64_t len;

	erofs_read_attributes(r, n, &attributes, NULL);
	rest = buf_bytes(&attributes);
	while (erofs_next_attribute(&rest, &a))
		require(a.name.len <= EROFS_NAME_MAX && a.value.len <= UINT16_MAX);
	if (S_ISLNK(n->mode))
		erofs_read_target(r, n, target, NULL);
	if (!S_ISREG(n->mode) || !n->size)
		return;
	if (erofs_read_run(r, n, n->size / 2, &is_hole, &len, NULL) == OK)
		require(len && len <= n->size - n->size / 2);
	len = n->size < sizeof data ? n->size : sizeof data;
	erofs_read_data(r, n, n->size - len, data, (size_t)len, NULL);
}

/* Directories in directories to some depth, since they may lead in circles. */
static void walk(struct erofs_reader *r, const struct erofs_node *directory, unsigned depth, unsigned *left)
{
	struct erofs_cursor c;
	int rc = erofs_cursor_begin(r, directory, &c, NULL);

	while (rc == OK && !erofs_cursor_is_at_end(&c) && *left) {
		struct erofs_entry e;
		struct erofs_node n;

		--*left;
		if (erofs_cursor_entry(r, &c, &e, NULL) == OK && erofs_read_node(r, e.nid, e.type, &n, NULL) == OK) {
			read_all_of(r, &n);
			if (S_ISDIR(n.mode) && depth)
				walk(r, &n, depth - 1, left);
		}
		rc = erofs_cursor_next(r, &c, NULL);
	}
}

static void read_alone(int fd)
{
	CLEANUP(erofs_reader_closep) struct erofs_reader *r = NULL;
	unsigned left = ENTRIES_MAX;
	struct erofs_node root;

	if (erofs_reader_open(dup(fd), CACHED, &r, NULL) == OK && erofs_read_root(r, &root, NULL) == OK)
		walk(r, &root, 8, &left);
}

/* ---- the tree --------------------------------------------------------------------------- */

static int open_tree(int fd, size_t layers, struct tree **ret_tree)
{
	const int fds[] = { dup(fd), layers > 1 ? dup(fd) : -1 };

	return tree_open(fds, layers, NULL, ret_tree, NULL);
}

/* Of one layer, the tree's names are the image's but for whiteouts. */
static void count(int fd, const struct erofs_summary *s)
{
	CLEANUP(tree_closep) struct tree *t = NULL;
	const struct tree_entry *e;
	uint64_t n = 0;

	require(open_tree(fd, 1, &t) == OK);
	for (;;) {
		int rc = tree_next(t, &e, NULL);

		require(rc == OK || rc == E_LIMIT);
		if (rc != OK || !e)
			break;
		n++;
	}
	require(e ? n <= s->entries + 1 : n == s->entries + 1 - s->whiteouts);
}

/* Where a link leads there is no link any more. */
static void resolve(struct tree_view *v, struct bytes path)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(TREE_PATH_MAX);
	struct tree_entry e;
	bool found;
	int rc = tree_view_resolve(v, path, true, &out, &found, &e, NULL);

	require(rc == OK || rc == E_LIMIT || rc == E_CORRUPT);
	require(rc != OK || !found || !S_ISLNK(e.node.mode));
}

/* By its path each entry of the walk is found again, as the same one. */
static void find_all(int fd, size_t layers)
{
	const int fds[] = { dup(fd), layers > 1 ? dup(fd) : -1 };
	CLEANUP(tree_view_closep) struct tree_view *v = NULL;
	CLEANUP(tree_closep) struct tree *t = NULL;
	const struct tree_entry *e;
	struct tree_entry found;

	require(open_tree(fd, layers, &t) == OK && tree_view_open(fds, layers, true, NULL, &v, NULL) == OK);
	while (tree_next(t, &e, NULL) == OK && e) {
		int rc = tree_view_lookup(v, e->path, &found, NULL);

		require(rc == E_LIMIT || rc == E_CORRUPT || rc == OK);
		if (rc != OK)
			break;
		require(found.node.nid == e->node.nid && found.layer == e->layer);
		if (S_ISLNK(e->node.mode))
			resolve(v, e->path);
	}
}

/* The hash of the archive, as far as it is not too long. */
static uint64_t hash_tar(int fd, size_t layers, size_t piece)
{
	CLEANUP(tree_tar_freep) struct tree_tar *tar = NULL;
	uint8_t data[64 * 1024];
	uint64_t hash = 14695981039346656037u, sum = 0;
	struct tree *tree = NULL;
	size_t len = 1;

	require(open_tree(fd, layers, &tree) == OK && tree_tar_new(tree, &tar, NULL) == OK);
	while (len && sum < BYTES_MAX) {
		int rc = tree_tar_read(tar, data, piece, &len, NULL);

		require(rc == OK || rc == E_LIMIT);
		if (rc != OK)
			return 0;
		for (size_t i = 0; i < len; i++)
			hash = (hash ^ data[i]) * 1099511628211u;
		sum += len;
	}
	require(len || (sum && sum % 512 == 0));
	return len ? 0 : hash;
}

static void try(int fd, size_t layers)
{
	struct erofs_summary s;
	struct tree *tree;
	int rc = erofs_check(fd, ENTRIES_MAX, NULL, &s, NULL);

	read_alone(fd);
	if (rc == E_LIMIT)
		return;
	if (rc != OK) {
		require(open_tree(fd, layers, &tree) != OK);
		return;
	}
	count(fd, &s);
	find_all(fd, layers);
	require(hash_tar(fd, layers, 64 * 1024) == hash_tar(fd, layers, 512 * 7));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t len = size + -size % EROFS_BLOCK;
	CLEANUP(freep) uint8_t *image = size ? calloc(1, len) : NULL;
	CLEANUP(closep) int fd = memfd_create("image", MFD_CLOEXEC);

	if (!image || fd < 0)
		return 0;
	memcpy(image, data + 1, size - 1);
	if (data[0] & 1)
		erofs_repair(image, len);
	if (write(fd, image, len) == (ssize_t)len)
		try(fd, data[0] & 2 ? 2 : 1);
	return 0;
}

/*
 * What the check (check.h) and the reader (reader.h) share: check_image.c, check_super.c,
 * check_inode.c, check_xattr.c and check_dirents.c each know one structure, and give out
 * nothing of it that is not sound in itself. check.c and check_directory.c walk over all.
 */
#ifndef SERVICE_LAYER_EROFS_CHECKING_H
#define SERVICE_LAYER_EROFS_CHECKING_H

#include <inttypes.h>

#include "proto/runtime/mem.h"
#include "service/layer/erofs/check.h"
#include "service/layer/erofs/format.h"
#include "service/layer/erofs/node.h"

/* ---- check_image.c: the bytes of the image ------------------------------------------ */

enum { CHECK_CACHED = 64 };

struct check_image {
	int fd;
	uint64_t size; /* a multiple of EROFS_BLOCK */
	uint64_t work; /* bytes that may still be looked at */

	/* as the superblock says */
	bool has_chunks; /* there may be some */
	int64_t time;	 /* of compact inodes */
	uint32_t time_ns;

	struct check_block *cache;
	size_t cached; /* blocks of it */
};

int check_image_init(struct check_image *i, int fd, size_t cached, struct err *err);
void check_image_free(struct check_image *i);

/* Bytes of the image; E_CORRUPT when they are not all in it. */
int check_read(struct check_image *i, uint64_t at, void *out, size_t len, struct err *err);
/* The same without a copy, of bytes that are in one block: borrowed until the next call. */
int check_view(struct check_image *i, uint64_t at, size_t len, const uint8_t **ret_bytes, struct err *err);

static inline int check_fail(const char *what, uint64_t nid, struct err *err)
{
	return fail(err, E_CORRUPT, "layer's image is not sound: %s (nid %" PRIu64 ")", what, nid);
}

static inline uint64_t check_blocks(const struct check_image *i)
{
	return i->size >> EROFS_BLOCK_BITS;
}

/* ---- check_super.c ------------------------------------------------------------------- */

int check_super(struct check_image *i, struct err *err);

/* ---- check_inode.c -------------------------------------------------------------------- */

/* Reads an inode and looks at all of it. */
int check_inode(struct check_image *i, uint64_t nid, struct erofs_node *ret_inode, struct err *err);

/* Whether an entry's type is that of the inode. */
bool check_type(uint8_t type, uint16_t mode);

/* A piece of the data of a directory or symlink: where block `number` of it is. */
uint64_t check_inode_data(const struct erofs_node *n, uint64_t number);

/* ---- check_xattr.c -------------------------------------------------------------------- */

struct check_xattr {
	uint8_t index;
	struct bytes name, value;
};

/* Sets n->is_opaque. */
int check_xattrs(struct check_image *i, struct erofs_node *n, struct err *err);

/* Takes the next one of what is behind the header; false when it does not fit. */
bool check_next_xattr(struct bytes *rest, struct check_xattr *ret_xattr);

/* ---- check_dirents.c ------------------------------------------------------------------ */

struct check_entry {
	uint64_t nid;
	uint8_t type; /* enum erofs_type */
	struct bytes name;
};

/* How many entries a block of a directory has, of which `len` bytes count; 0: it is bad. */
size_t check_dirents(const uint8_t *block, size_t len);
/* Entry k of n; false when it has no good name. */
bool check_dirent(const uint8_t *block, size_t len, size_t n, size_t k, struct check_entry *ret_entry);
bool check_is_dots(struct bytes name);
bool check_comes_after(struct bytes name, struct bytes before);

/* ---- check_directory.c ---------------------------------------------------------------- */

/* Calls `take` for each entry but "." and "..". */
int check_directory(struct check_image *i, const struct erofs_node *directory, uint64_t parent,
		    int (*take)(void *arg, const struct check_entry *entry, struct err *err), void *arg,
		    struct err *err);

#endif

/*
 * What the files of the check share: check.c walks, check_super.c, check_inode.c,
 * check_xattr.c and check_directory.c each know one structure.
 */
#ifndef SERVICE_LAYER_EROFS_CHECKING_H
#define SERVICE_LAYER_EROFS_CHECKING_H

#include "proto/runtime/mem.h"
#include "service/layer/erofs/check.h"
#include "service/layer/erofs/format.h"

/* ---- check_image.c: the bytes of the image ------------------------------------------ */

enum { CHECK_CACHED = 64 };

struct check_image {
	int fd;
	uint64_t size;		   /* a multiple of EROFS_BLOCK */
	uint64_t work;		   /* bytes that may still be looked at */
	bool has_chunks;	   /* the superblock says that there may be some */
	struct check_block *cache; /* CHECK_CACHED */
};

int check_image_init(struct check_image *i, int fd, struct err *err);
void check_image_free(struct check_image *i);

/* Bytes of the image; E_CORRUPT when they are not all in it. */
int check_read(struct check_image *i, uint64_t at, void *out, size_t len, struct err *err);

/* E_CORRUPT: "layer's image is not sound: WHAT (nid N)". */
int check_fail(const char *what, uint64_t nid, struct err *err);

static inline uint64_t check_blocks(const struct check_image *i)
{
	return i->size >> EROFS_BLOCK_BITS;
}

/* ---- check_super.c ------------------------------------------------------------------- */

int check_super(struct check_image *i, struct err *err);

/* ---- check_inode.c -------------------------------------------------------------------- */

struct check_inode {
	uint64_t nid;
	uint16_t mode;
	unsigned layout;
	uint64_t size;
	uint32_t place;
	uint64_t xattrs; /* where they are, xattrs_len of them */
	size_t xattrs_len;
	uint64_t after; /* where the tail or the map is */
	bool is_opaque; /* by its xattrs */
};

/* Reads an inode and looks at all of it. */
int check_inode(struct check_image *i, uint64_t nid, struct check_inode *ret_inode, struct err *err);

/* A piece of the data of a directory or symlink: where block `number` of it is. */
uint64_t check_inode_data(const struct check_inode *n, uint64_t number);

/* ---- check_xattr.c -------------------------------------------------------------------- */

/* Sets n->is_opaque. */
int check_xattrs(struct check_image *i, struct check_inode *n, struct err *err);

/* ---- check_directory.c ---------------------------------------------------------------- */

struct check_entry {
	uint64_t nid;
	uint8_t type; /* enum erofs_type */
	struct bytes name;
};

/* Calls `take` for each entry but "." and "..". */
int check_directory(struct check_image *i, const struct check_inode *directory, uint64_t parent,
		    int (*take)(void *arg, const struct check_entry *entry, struct err *err), void *arg,
		    struct err *err);

#endif

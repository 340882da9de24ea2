/*
 * The names of one layer while its tar goes by: a tree in memory, of which nothing
 * exists anywhere else (DESIGN.md 11.15). Names lead to inodes; hard links are several
 * names of one. What is not a directory has been written to the image by the time it
 * gets its name, and the inode only knows where; a directory keeps its attributes, since
 * it is written last.
 *
 * A name that comes again leads to the new inode; what it led to before is forgotten,
 * with everything below it.
 *
 * Memory: all from one arena with a cap, and glibc's tree nodes (32 bytes a name): it
 * grows with names and symlink targets, never with a file's bytes. Look-ups are
 * logarithmic whatever the names are. One thread.
 */
#ifndef SERVICE_LAYER_EROFS_TREE_H
#define SERVICE_LAYER_EROFS_TREE_H

#include "proto/runtime/arena.h"
#include "service/layer/erofs/format.h"

/* Where an inode is: the slot of a block of metadata. Which block that is on the disk is
 * known once it has been written (meta.h). */
struct erofs_place {
	uint32_t meta; /* number of the block of metadata */
	uint8_t slot;
};

struct erofs_inode {
	struct erofs_place place;
	uint8_t type;			 /* enum erofs_type */
	bool is_extended;		 /* as written */
	bool is_whiteout;		 /* not written yet, like directories */
	uint32_t links;			 /* names that lead to it, counted at the end */
	struct erofs_inode *next_linked; /* of those that were hard-linked */
	bool is_linked;
};

struct erofs_symlink {
	struct erofs_inode inode;
	struct bytes target; /* in the arena */
};

struct erofs_attributes {
	uint16_t mode; /* with the type */
	uint32_t uid, gid;
	int64_t mtime;
	uint32_t mtime_ns;
	struct bytes xattrs; /* as in the image, or empty */
};

struct erofs_name {
	struct erofs_inode *inode;
	uint8_t len;
	uint8_t text[];
};

struct erofs_directory {
	struct erofs_inode inode;
	struct erofs_directory *parent; /* the root's is the root */
	struct erofs_directory *next;	/* all there ever were */
	void *names;			/* tsearch(3) of struct erofs_name */
	uint32_t n_names, depth;
	bool is_opaque;
	bool has_whiteouts;  /* or had */
	bool has_attributes; /* it has come as an entry of its own */
	struct erofs_attributes attributes;

	/* at the end, of those that are still in the tree */
	struct erofs_directory *next_live;
	uint32_t subdirectories;
	uint64_t size;	      /* of its data */
	bool is_inline;	      /* the last part of the data is behind the inode */
	uint32_t first_block; /* of the others */
	uint64_t nid;
};

struct erofs_tree {
	struct arena arena;
	struct erofs_directory *root, *directories;
	struct erofs_inode *linked;
};

/* Not for copying once initialised. `max_bytes`: of the arena. */
int erofs_tree_init(struct erofs_tree *t, size_t max_bytes, struct err *err);
void erofs_tree_free(struct erofs_tree *t);

/* A directory's name, or NULL. */
struct erofs_name *erofs_tree_find(const struct erofs_directory *d, struct bytes name);
/* Names an inode, in place of what had the name. E_LIMIT, E_NO_MEMORY. */
int erofs_tree_name(struct erofs_tree *t, struct erofs_directory *d, struct bytes name, struct erofs_inode *inode,
		    struct err *err);
/* A new directory with these attributes, root's, 0755; E_LIMIT also when too deep. */
int erofs_tree_make_directory(struct erofs_tree *t, struct erofs_directory *parent, struct bytes name,
			      struct erofs_directory **ret_directory, struct err *err);
int erofs_tree_make_inode(struct erofs_tree *t, enum erofs_type type, struct erofs_inode **ret_inode, struct err *err);
int erofs_tree_make_symlink(struct erofs_tree *t, struct bytes target, struct erofs_inode **ret_inode, struct err *err);
/* A copy that lives as long as the tree; E_LIMIT. */
int erofs_tree_keep(struct erofs_tree *t, struct bytes b, struct bytes *ret_copy, struct err *err);

/* The names of a directory in the image's order: n_names of them, into `out`. */
void erofs_tree_list(const struct erofs_directory *d, struct erofs_name **out);

static inline struct erofs_directory *erofs_directory_of(struct erofs_inode *inode)
{
	return (struct erofs_directory *)inode;
}

static inline const struct erofs_symlink *erofs_symlink_of(const struct erofs_inode *inode)
{
	return (const struct erofs_symlink *)inode;
}

#endif

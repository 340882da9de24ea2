/*
 * The file system of an image without a mount: the images of its layers, laid over each
 * other as overlayfs does (Linux, Documentation/filesystems/overlayfs.rst):
 *
 *   - of a name the uppermost layer that has it counts; a whiteout hides it altogether
 *   - where that is a directory, those of the same name below are merged into it, down to
 *     the first layer that has something else there, a whiteout, or a directory marked
 *     opaque; what it says of itself (mode, owner, times, attributes) is the uppermost's
 *   - whiteouts and the marks are never shown
 *   - files are of one inode where they are of one layer's inode (`layer`, node.nid)
 *
 * Entries come one after the other: the root, whose path is empty, then names in the order
 * of their bytes, what is in a directory right after it. Two trees are compared by walking
 * both at the same time.
 *
 * Memory: TREE_CACHED_MAX blocks, 48 bytes for each directory of a layer that is open at
 * a time (at most TREE_OPEN_MAX), a path; never the tree. One thread at a time.
 */
#ifndef SERVICE_TREE_TREE_H
#define SERVICE_TREE_TREE_H

#include "proto/runtime/cancel.h"
#include "service/layer/erofs/reader.h"

struct tree;

enum {
	TREE_LAYERS_MAX = 4096,
	TREE_OPEN_MAX = 1 << 19,
	TREE_CACHED_MAX = 2048,
	TREE_PATH_MAX = 64 * 1024,
};

struct tree_entry {
	struct bytes path; /* without a slash at either end */
	struct erofs_node node;
	size_t layer;
	struct erofs_reader *reader; /* the layer's, to read what the node has */
};

/* `fds`: the layers' images, lowest first, which become the tree's, also on failure. Each is
 * checked as a whole (check.h) before anything is read of one: E_CORRUPT then. */
int tree_open(const int *fds, size_t n, struct cancel *cancel, struct tree **ret_tree, struct err *err);
void tree_close(struct tree *t); /* NULL is fine */
void tree_closep(struct tree **t);

/* The next entry, borrowed until the call after; NULL at the end. E_CORRUPT: an image is
 * damaged; E_LIMIT; E_IO; the token's code. A tree that has failed is of no more use. */
int tree_next(struct tree *t, const struct tree_entry **ret_entry, struct err *err);
/* What is in the directory that came last does not come. */
void tree_skip(struct tree *t);

#endif

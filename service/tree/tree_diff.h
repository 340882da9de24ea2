/*
 * What two trees have in common and what not, in one walk of both at the same time.
 *
 * A path that both have is CHANGED when its type, mode, owner, content, link, device,
 * extended attributes or time differ. Of directories the time is not compared: it changes
 * with every name in them. Where a directory stands against something else, what is in it is
 * added or removed as well.
 *
 * Memory: that of both trees (tree.h), attributes of two files, two pieces of data. Files of
 * one inode of one layer are equal without being read, holes are not read. One thread.
 */
#ifndef SERVICE_TREE_TREE_DIFF_H
#define SERVICE_TREE_TREE_DIFF_H

#include "service/tree/tree.h"
#include "store/types/digest.h"

enum tree_change {
	TREE_TYPE = 1 << 0,
	TREE_MODE = 1 << 1,
	TREE_OWNER = 1 << 2,
	TREE_CONTENT = 1 << 3,
	TREE_LINK = 1 << 4,
	TREE_DEVICE = 1 << 5,
	TREE_ATTRIBUTES = 1 << 6,
	TREE_TIME = 1 << 7,
};

/* Borrowed for the call. `from` is NULL for what was added, `to` for what was removed; else
 * `changes` says what of it, and is not 0. A negative code ends the walk. */
typedef int tree_diff_visit(void *arg, const struct tree_entry *from, const struct tree_entry *to, unsigned changes,
			    struct err *err);

struct tree_diff {
	struct tree *from, *to; /* the caller's */
	/* Of their layers, so that what is of one layer is known to be. */
	const struct digest *from_layers, *to_layers;
	bool ignore_times;
	struct cancel *cancel;
	tree_diff_visit *visit;
	void *arg;
};

/* As tree_next(), and what the visitor said. */
int tree_diff_run(const struct tree_diff *d, struct err *err);

#endif

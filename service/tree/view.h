/*
 * The merged file system of layers' EROFS images by paths (tree.h tells how they are merged):
 * what a name is, what a directory has, what a file holds. For those who look at some of it;
 * who wants all of it walks a tree.
 *
 * Paths are relative to the root, "" is the root itself; with slashes between names, and no
 * "." or "..", where they are not resolved.
 *
 * One thread at a time; that holds for a view and all its walks together. Memory: a bounded cache
 * of blocks, and 100 bytes for each layer's part of the directories on the way to the last path.
 */
#ifndef SERVICE_TREE_VIEW_H
#define SERVICE_TREE_VIEW_H

#include "service/tree/tree.h"

struct tree_view;

enum { TREE_LINKS_MAX = 40 };

/* `fds`: lowest first; they become the view's, also on failure. n may be 0: an empty root, 0755. `checked`:
 * this process has checked them before (layer_image_accept(), tree_open()). */
int tree_view_open(const int *fds, size_t n, bool checked, struct cancel *cancel, struct tree_view **ret_view,
		   struct err *err);
void tree_view_close(struct tree_view *v); /* NULL is fine; its walks are closed */
void tree_view_closep(struct tree_view **v);

/* What there is, links not followed. E_NOT_FOUND; as tree_next(). The entry's path is `path`; its reader is NULL for
 * the root of a view of no layers. */
int tree_view_lookup(struct tree_view *v, struct bytes path, struct tree_entry *ret_entry, struct err *err);

/* The path without links, into `out` after what is in it: those on the way are followed, the last one too
 * with follow_last, and nothing leads out of the tree ("/" and ".." end at its root). From the first name on that is
 * missing, the rest is kept as it is named: *ret_found false; else *ret_entry (its path is in `out`).
 * E_LIMIT: too many links, too long a path. */
int tree_view_resolve(struct tree_view *v, struct bytes path, bool follow_last, struct buf *out, bool *ret_found,
		      struct tree_entry *ret_entry, struct err *err);

/* All below a directory, and it itself first, with paths relative to it: for tree_next(), tree_skip(). E_NOT_FOUND: it
 * is not there, or no directory. The view may be used while the walk goes on. */
int tree_view_walk(struct tree_view *v, struct bytes directory, struct tree **ret_walk, struct err *err);

/* All of a regular file, with a NUL behind it, free()d by the caller. E_LIMIT: it has more than `max` bytes. */
int tree_read_all(const struct tree_entry *e, size_t max, char **ret_data, size_t *ret_len, struct err *err);

#endif

/*
 * The merged file system of layers' EROFS images by paths (tree.h tells how they are merged):
 * what a name is, what a directory has, what a file holds. For those who look at some of it;
 * who wants all of it walks a tree.
 *
 * One thread at a time. Memory: a bounded cache of blocks.
 */
#ifndef SERVICE_TREE_VIEW_H
#define SERVICE_TREE_VIEW_H

#include "service/tree/tree.h"

struct tree_view;

/* `fds`: lowest first; they become the view's, also on failure. n may be 0: an empty root, 0755. `checked`:
 * this process has checked them before (layer_image_accept(), tree_open()). */
int tree_view_open(const int *fds, size_t n, bool checked, struct cancel *cancel, struct tree_view **ret_view,
		   struct err *err);
void tree_view_close(struct tree_view *v); /* NULL is fine */
void tree_view_closep(struct tree_view **v);

#endif

/* What the walk (tree.c) and the view (view.c) of a tree share. */
#ifndef SERVICE_TREE_TREE_STATE_H
#define SERVICE_TREE_TREE_STATE_H

#include "service/tree/tree.h"

struct tree_layers {
	struct erofs_reader **readers; /* lowest first */
	size_t n;
};

/* What one layer has of a directory. */
struct tree_part {
	size_t layer;
	struct erofs_node node;
};

/* As tree_open(); `checked`: not again. */
int tree_layers_open(struct tree_layers *l, const int *fds, size_t n, bool checked, struct cancel *cancel,
		     struct err *err);
void tree_layers_close(struct tree_layers *l);
/* The caller's, uppermost layer's first. */
int tree_layers_root(const struct tree_layers *l, struct tree_part **ret_root, size_t *ret_n, struct err *err);

/* A walk that begins at a directory, whose parts are given as above; its path is empty. Layers are
 * borrowed; of several walks of the same layers one is used at a time. */
int tree_walk_new(const struct tree_layers *layers, const struct tree_part *root, size_t n, struct cancel *cancel,
		  struct tree **ret_tree, struct err *err);

#endif

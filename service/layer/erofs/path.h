/*
 * A name in a tar becomes a place in the tree of the layer. What would lead a writing
 * unpacker astray leads nowhere here, since nothing but the tree is ever touched; the
 * rules are those under which other engines find the same files:
 *
 *   - a leading "/" says nothing, "." and empty components neither; ".." takes back the
 *     component before it, and where there is none E_BAD_CONTENT
 *   - symlinks of this layer on the way are followed, within the layer's root, as often
 *     as the kernel would; the last component never. What all of them lead over is
 *     counted in the tree, for who sets a limit
 *   - missing directories on the way are made; something else on the way is
 *     E_BAD_CONTENT
 *   - ".wh.NAME" is a whiteout, ".wh..wh..opq" makes its directory opaque, other names
 *     that begin with ".wh..wh." are aufs's own and of no meaning (OCI image-spec,
 *     layer.md)
 */
#ifndef SERVICE_LAYER_EROFS_PATH_H
#define SERVICE_LAYER_EROFS_PATH_H

#include "service/layer/erofs/tree.h"
#include "service/layer/tar_stream.h"

enum erofs_path_kind {
	EROFS_PATH_PLAIN,    /* `last` in its directory; empty: the root itself */
	EROFS_PATH_WHITEOUT, /* of `last` */
	EROFS_PATH_OPAQUE,   /* its directory is */
	EROFS_PATH_AUFS,     /* to be passed over */
};

struct erofs_path {
	enum erofs_path_kind kind;
	struct bytes parents, last; /* of the text: cleaned, separated by single slashes */
	char text[TAR_NAME_MAX];
};

/* E_BAD_CONTENT for names that cannot be. Touches no tree. */
int erofs_path_parse(struct bytes name, struct erofs_path *ret_path, struct err *err);

/* The directory of the path. `create`: missing ones are made; else they are E_BAD_CONTENT. */
int erofs_path_directory(const struct erofs_path *p, struct erofs_tree *t, bool create,
			 struct erofs_directory **ret_directory, struct err *err);

#endif

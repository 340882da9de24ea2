/*
 * Which pieces of a file there are, for archives that leave out the holes.
 *
 * At most SPARSE_PIECES_MAX: where there are more, holes shorter than some power of two
 * count as data, the least one that is enough, so that the map is the same whoever makes it.
 */
#ifndef SERVICE_TREE_SPARSE_MAP_H
#define SERVICE_TREE_SPARSE_MAP_H

#include "service/layer/erofs/reader.h"

/* As text they stay below 1 MiB, which is what readers of such archives take. */
enum { SPARSE_PIECES_MAX = 16384 };

struct sparse_piece {
	uint64_t offset, len; /* len is not 0 */
};

struct sparse_map {
	struct sparse_piece *pieces;
	size_t n, room;
	uint64_t stored; /* bytes of all pieces */
};

void sparse_map_free(struct sparse_map *m);

/* In place of what was in it. */
int sparse_map_read(struct sparse_map *m, struct erofs_reader *r, const struct erofs_node *n, struct err *err);

#endif

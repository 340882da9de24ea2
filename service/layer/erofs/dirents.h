/*
 * The data of a directory: blocks of entries and names, as format.h says.
 *
 * Pure functions over a list of names in the image's order.
 */
#ifndef SERVICE_LAYER_EROFS_DIRENTS_H
#define SERVICE_LAYER_EROFS_DIRENTS_H

#include "service/layer/erofs/meta.h"
#include "service/layer/erofs/tree.h"

/* How many of the names go into the next block; *ret_len: bytes of it. */
size_t erofs_dirents_fit(struct erofs_name *const *names, size_t n, size_t *ret_len);

/* Bytes of the whole directory: full blocks but for the last one. */
uint64_t erofs_dirents_size(struct erofs_name *const *names, size_t n);

/* Writes the block of these n names, which fit; the rest of it is zeros. */
void erofs_dirents_write(struct erofs_name *const *names, size_t n, const struct erofs_meta *meta,
			 uint8_t block[EROFS_BLOCK]);

#endif

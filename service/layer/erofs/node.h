/*
 * An inode of an image, taken apart: what it says of the file, and where its parts are.
 */
#ifndef SERVICE_LAYER_EROFS_NODE_H
#define SERVICE_LAYER_EROFS_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct erofs_node {
	uint64_t nid;
	uint16_t mode; /* with the type */
	uint32_t uid, gid, links;
	int64_t mtime;
	uint32_t mtime_ns;
	uint64_t size;
	bool is_opaque; /* a directory: layers below have no part in it */

	/* for the reader */
	unsigned layout;
	uint32_t place;	 /* the first block, the format of the chunk map; of devices the number */
	uint64_t xattrs; /* where they are, xattrs_len of them */
	size_t xattrs_len;
	uint64_t after; /* where the tail or the map is */
};

#endif

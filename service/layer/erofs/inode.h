/*
 * An inode as the image has it: compact where it can be, which is when its time is the
 * superblock's and its numbers are small, else extended.
 *
 * Pure functions.
 */
#ifndef SERVICE_LAYER_EROFS_INODE_H
#define SERVICE_LAYER_EROFS_INODE_H

#include "service/layer/erofs/tree.h"

struct erofs_time {
	int64_t seconds;
	uint32_t ns;
};

/* nlink of a compact one has 16 bits, and how many names a file will have is not known
 * when it is written. */
enum { EROFS_LINKS_MAX = UINT16_MAX };

struct erofs_facts {
	const struct erofs_attributes *attributes;
	unsigned layout; /* EROFS_FLAT_PLAIN, ... */
	uint64_t size;
	uint32_t place, ino, links;
};

union erofs_inode_bytes {
	struct erofs_inode_compact compact;
	struct erofs_inode_extended extended;
	uint8_t bytes[sizeof(struct erofs_inode_extended)];
};

bool erofs_inode_is_extended(const struct erofs_facts *f, struct erofs_time super);

static inline size_t erofs_inode_len(bool is_extended)
{
	return is_extended ? sizeof(struct erofs_inode_extended) : sizeof(struct erofs_inode_compact);
}

/* Its erofs_inode_len() bytes. */
struct bytes erofs_inode_write(const struct erofs_facts *f, bool is_extended, union erofs_inode_bytes *out);

/* A link count as the image has it: where in the inode, and which bytes. */
struct bytes erofs_inode_links(uint32_t links, bool is_extended, uint8_t room[4], size_t *ret_at);

#endif

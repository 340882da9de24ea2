#include "service/mount/probe_image.h"

#include <sys/stat.h>

#include "service/layer/erofs/format.h"

enum { DOTS = 2, DOT_NAMES = 3 }; /* "." and ".." */

struct dots {
	struct erofs_dirent entries[DOTS];
	char names[DOT_NAMES];
} __attribute__((packed));

static void put_root(uint8_t *block)
{
	struct erofs_inode_compact inode = {
		.format = htole16(EROFS_COMPACT | EROFS_FLAT_INLINE << EROFS_LAYOUT_SHIFT),
		.mode = htole16(S_IFDIR | 0755),
		.nlink = htole16(2),
		.size = htole32(sizeof(struct dots)),
		.ino = htole32(1),
	};
	struct dots dots = { .names = { '.', '.', '.' } };

	for (size_t i = 0; i < DOTS; i++) {
		uint16_t offset = (uint16_t)(sizeof dots.entries + i);

		dots.entries[i] = (struct erofs_dirent){ .nid = htole64(EROFS_ROOT_NID),
							 .name_offset = htole16(offset),
							 .type = EROFS_TYPE_DIRECTORY };
	}
	memcpy(block + EROFS_ROOT_OFFSET, &inode, sizeof inode);
	memcpy(block + EROFS_ROOT_OFFSET + sizeof inode, &dots, sizeof dots);
}

int probe_image_write(int fd, struct err *err)
{
	uint8_t block[EROFS_BLOCK] = { 0 };
	struct erofs_super super = {
		.magic = htole32(EROFS_MAGIC),
		.block_bits = EROFS_BLOCK_BITS,
		.root_nid = htole16(EROFS_ROOT_NID),
		.inodes = htole64(1),
		.blocks = htole32(1),
	};
	ssize_t n;

	memcpy(block + EROFS_SUPER_OFFSET, &super, sizeof super);
	put_root(block);
	n = pwrite(fd, block, sizeof block, 0);
	if (n == (ssize_t)sizeof block)
		return OK;
	if (n >= 0)
		errno = ENOSPC;
	return fail_errno(err, "write a file to try mounts with");
}

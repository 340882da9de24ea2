/*
 * EROFS on the disk, as far as our layers use it: uncompressed, blocks of 4 KiB,
 * readable by Linux 5.16 and later.
 *
 * Source: Linux, Documentation/filesystems/erofs.rst and fs/erofs/erofs_fs.h (the
 * structures), fs/erofs/{super,inode,data,dir,namei,xattr}.c (what the kernel demands of
 * them). All numbers are little-endian.
 *
 *   - block 0: nothing, the superblock at EROFS_SUPER_OFFSET, and the root's inode right
 *     after it, since root_nid has 16 bits only
 *   - an inode is at nid * EROFS_SLOT (meta_blkaddr is 0); its xattrs follow it, then the
 *     tail of its data (EROFS_FLAT_INLINE), which must not cross a block, or its chunk
 *     map (EROFS_CHUNK_BASED), aligned to 4
 *   - a directory's data: in each block entries, then their names; sorted bytewise over
 *     all blocks, "." and ".." among them; the first name_offset tells how many there are,
 *     and the last name ends with the data or at a NUL
 *   - xattrs: a header, then entries, each aligned to 4; of the header's size the first
 *     12 bytes count as 1 in xattr_count, each further 4 bytes as 1 more
 */
#ifndef SERVICE_LAYER_EROFS_FORMAT_H
#define SERVICE_LAYER_EROFS_FORMAT_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>

enum {
	EROFS_BLOCK_BITS = 12,
	EROFS_BLOCK = 1 << EROFS_BLOCK_BITS,
	EROFS_SUPER_OFFSET = 1024,
	EROFS_SLOT = 32,
	EROFS_SLOTS_PER_BLOCK = EROFS_BLOCK / EROFS_SLOT,
	EROFS_NAME_MAX = 255,
};

#define EROFS_MAGIC UINT32_C(0xE0F5E1E2)
#define EROFS_NO_BLOCK UINT32_C(0xffffffff) /* in a chunk map: a hole */

enum {
	EROFS_COMPAT_CHECKSUM = 0x1, /* of the superblock's block, from it to the end */
	EROFS_COMPAT_MTIME = 0x2,    /* times are mtimes */
	EROFS_INCOMPAT_CHUNKS = 0x4, /* there are chunk-based files */
};

struct erofs_super {
	uint32_t magic;
	uint32_t checksum; /* crc32c without final inversion, taken with this field 0 */
	uint32_t feature_compat;
	uint8_t block_bits;
	uint8_t extra_slots;
	uint16_t root_nid;
	uint64_t inodes;
	uint64_t time; /* of compact inodes */
	uint32_t time_ns;
	uint32_t blocks;
	uint32_t meta_block;
	uint32_t xattr_block;
	uint8_t uuid[16];
	uint8_t volume[16];
	uint32_t feature_incompat;
	uint8_t unused[44];
};

/* inode.format: bit 0 the size, bits 1 to 3 the layout. */
enum { EROFS_COMPACT = 0, EROFS_EXTENDED = 1, EROFS_LAYOUT_SHIFT = 1, EROFS_FORMAT_BITS = 0xf };
enum { EROFS_FLAT_PLAIN = 0, EROFS_FLAT_INLINE = 2, EROFS_CHUNK_BASED = 4 };

/* `place` is the first block (flat), the device number, or of chunk-based files the
 * format of the map: bits 0 to 4 are log2 of blocks per chunk. */
enum { EROFS_CHUNK_BITS = 0x1f };

struct erofs_inode_compact {
	uint16_t format;
	uint16_t xattr_count;
	uint16_t mode;
	uint16_t nlink;
	uint32_t size;
	uint32_t reserved;
	uint32_t place;
	uint32_t ino; /* for 32-bit stat only */
	uint16_t uid;
	uint16_t gid;
	uint32_t reserved2;
};

struct erofs_inode_extended {
	uint16_t format;
	uint16_t xattr_count;
	uint16_t mode;
	uint16_t reserved;
	uint64_t size;
	uint32_t place;
	uint32_t ino;
	uint32_t uid;
	uint32_t gid;
	uint64_t mtime;
	uint32_t mtime_ns;
	uint32_t nlink;
	uint8_t reserved2[16];
};

struct erofs_xattrs {
	uint32_t name_filter;
	uint8_t shared_count;
	uint8_t reserved[7];
};

struct erofs_xattr {
	uint8_t name_len; /* without the prefix that the index stands for */
	uint8_t name_index;
	uint16_t value_len;
};

enum erofs_xattr_index {
	EROFS_XATTR_USER = 1,
	EROFS_XATTR_ACL_ACCESS = 2,
	EROFS_XATTR_ACL_DEFAULT = 3,
	EROFS_XATTR_TRUSTED = 4,
	EROFS_XATTR_SECURITY = 6,
};

enum { EROFS_XATTR_UNIT = 4, EROFS_XATTRS_MAX = sizeof(struct erofs_xattrs) + 4 * (UINT16_MAX - 1) };

/* 12 bytes, not 16: never an array of structs that the compiler aligned. */
struct __attribute__((packed)) erofs_dirent {
	uint64_t nid;
	uint16_t name_offset;
	uint8_t type;
	uint8_t reserved;
};

enum erofs_type {
	EROFS_TYPE_REGULAR = 1,
	EROFS_TYPE_DIRECTORY,
	EROFS_TYPE_CHAR,
	EROFS_TYPE_BLOCK,
	EROFS_TYPE_FIFO,
	EROFS_TYPE_SOCKET,
	EROFS_TYPE_SYMLINK,
};

_Static_assert(sizeof(struct erofs_super) == 128, "superblock");
_Static_assert(offsetof(struct erofs_super, feature_incompat) == 80, "superblock");
_Static_assert(sizeof(struct erofs_inode_compact) == 32, "compact inode");
_Static_assert(sizeof(struct erofs_inode_extended) == 64, "extended inode");
_Static_assert(sizeof(struct erofs_xattrs) == 12, "header of xattrs");
_Static_assert(sizeof(struct erofs_xattr) == 4, "xattr");
_Static_assert(sizeof(struct erofs_dirent) == 12, "directory entry");

enum {
	EROFS_ROOT_OFFSET = EROFS_SUPER_OFFSET + sizeof(struct erofs_super),
	EROFS_ROOT_NID = EROFS_ROOT_OFFSET / EROFS_SLOT,
	EROFS_ROOT_ROOM = EROFS_BLOCK - EROFS_ROOT_OFFSET, /* for its inode, xattrs and tail */
};

/* Linux's 32-bit device number. */
static inline uint32_t erofs_device(uint32_t major, uint32_t minor)
{
	return (minor & 0xff) | major << 8 | (minor & ~UINT32_C(0xff)) << 12;
}

/* The superblock's checksum over `len` bytes from it on: crc32c (Castagnoli), begun with
 * all ones. */
static inline uint32_t erofs_crc32c(const uint8_t *data, size_t len)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
	}
	return crc;
}

#endif

/*
 * What `imaged-layer untar` makes of a tar: records, each a head and what it says follows it.
 * The daemon takes every field for hostile. Native byte order: both ends are one
 * installation.
 *
 *   head   name   link   xattrs   data of a regular file, `size` bytes
 *
 * Names and links are those of the tar, not cleaned. Xattrs: of each the length of its name
 * (2 bytes) and of its value (4), and both; in the order of the tar, where the last one of a
 * name counts.
 */
#ifndef SERVICE_LAYER_UNTAR_FORMAT_H
#define SERVICE_LAYER_UNTAR_FORMAT_H

#include <stdint.h>

#define UNTAR_MAGIC UINT32_C(0x52544e45)

enum { UNTAR_TEXT_MAX = 4096, UNTAR_XATTRS_MAX = 2 * 64 * 1024 };

struct untar_head {
	uint32_t magic;
	uint16_t mode; /* permissions */
	uint16_t kind; /* enum tar_kind */
	uint64_t size;
	int64_t mtime; /* seconds */
	uint32_t mtime_ns;
	uint32_t uid, gid;
	uint32_t major, minor;
	uint32_t name_len, link_len, xattrs_len;
};

_Static_assert(sizeof(struct untar_head) == 56, "a head has no padding");

#endif

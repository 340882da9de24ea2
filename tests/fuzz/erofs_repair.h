/* What a fuzzer would hardly find in an image: the superblock's checksum and number of blocks. */
#ifndef TESTS_FUZZ_EROFS_REPAIR_H
#define TESTS_FUZZ_EROFS_REPAIR_H

#include <string.h>

#include "service/layer/erofs/format.h"

static inline void erofs_repair(uint8_t *image, size_t len)
{
	uint8_t *at = image + EROFS_SUPER_OFFSET;
	struct erofs_super s;

	memcpy(&s, at, sizeof s);
	s.blocks = htole32((uint32_t)(len / EROFS_BLOCK));
	s.checksum = 0;
	memcpy(at, &s, sizeof s);
	s.checksum = htole32(erofs_crc32c(at, EROFS_BLOCK - EROFS_SUPER_OFFSET));
	memcpy(at, &s, sizeof s);
}

#endif

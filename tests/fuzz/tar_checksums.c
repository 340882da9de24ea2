#include "tests/fuzz/tar_checksums.h"

#include <stdio.h>

#include "service/layer/tar_header.h"

void repair_checksums(uint8_t *data, size_t len)
{
	for (uint8_t *block = data; len >= TAR_BLOCK; block += TAR_BLOCK, len -= TAR_BLOCK) {
		unsigned sum = 0;

		if (tar_block_is_zero(block))
			continue;
		memset(block + 148, ' ', 8);
		for (size_t i = 0; i < TAR_BLOCK; i++)
			sum += block[i];
		snprintf((char *)block + 148, 8, "%06o", sum);
	}
}

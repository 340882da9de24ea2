/*
 * The daemon's check on images of hostile bytes: it ends, within its bounds.
 *
 * Input: a byte, then the image, which is filled up to whole blocks. With the byte's low
 * bit set, the superblock gets the checksum and the number of blocks that it should have.
 */
#include <sys/mman.h>

#include "proto/runtime/mem.h"
#include "service/layer/erofs/check.h"
#include "tests/fuzz/erofs_repair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t len = size + -size % EROFS_BLOCK;
	uint8_t *image = size ? calloc(1, len) : NULL;
	CLEANUP(closep) int fd = memfd_create("image", MFD_CLOEXEC);
	struct erofs_summary s;

	if (!image || fd < 0)
		return 0;
	memcpy(image, data + 1, size - 1);
	if (data[0] & 1)
		erofs_repair(image, len);
	if (write(fd, image, len) == (ssize_t)len && erofs_check(fd, 1000, NULL, &s, NULL) == OK)
		if (s.entries > 1000 || s.directories > s.entries + 1)
			abort();
	free(image);
	return 0;
}

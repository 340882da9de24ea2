#include "service/build/session/transfer_size.h"

enum {
	ENTRY_BYTES = 21, /* mode, owner, time, of a file without a size */
	DATA_BYTES = 6,	  /* around a file's bytes, and its size in the entry */
	GROUP_BITS = 7,	  /* of a number, in each of its bytes */
};

/* Two numbers get longer with a file's size: its own, and that of the message around it. */
static int64_t longer(int64_t size)
{
	int64_t more = 0;

	for (size >>= GROUP_BITS; size; size >>= GROUP_BITS)
		more += 2;
	return more;
}

int64_t transfer_size_entry(size_t path_len)
{
	return ENTRY_BYTES + (int64_t)path_len;
}

int64_t transfer_size_file(size_t path_len, int64_t size)
{
	return transfer_size_entry(path_len) + (size ? DATA_BYTES + size + longer(size) : 0);
}

#include "store/archive/tar_member.h"

bool tar_member_header(const struct tar_member *m, struct buf *out)
{
	const struct tar_head h = {
		.type = m->name[strlen(m->name) - 1] == '/' ? TAR_TYPE_DIRECTORY : TAR_TYPE_FILE,
		.name = bytes_of(m->name),
		.mode = m->mode,
		.size = m->size,
	};

	return tar_head_write(&h, NULL, out);
}

#include "store/archive/tar_member.h"

static enum tar_typeflag type_of(const struct tar_member *m)
{
	if (*m->link)
		return TAR_TYPE_SYMLINK;
	return m->name[strlen(m->name) - 1] == '/' ? TAR_TYPE_DIRECTORY : TAR_TYPE_FILE;
}

bool tar_member_header(const struct tar_member *m, struct buf *out)
{
	const struct tar_head h = {
		.type = type_of(m),
		.name = bytes_of(m->name),
		.link = bytes_of(m->link),
		.mode = m->mode,
		.owner = m->owner,
		.size = m->size,
		.mtime = m->mtime,
	};

	return tar_head_write(&h, NULL, out);
}

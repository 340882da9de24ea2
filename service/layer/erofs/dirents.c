#include "service/layer/erofs/dirents.h"

size_t erofs_dirents_fit(struct erofs_name *const *names, size_t n, size_t *ret_len)
{
	size_t i = 0, len = 0;

	for (; i < n; i++) {
		size_t more = sizeof(struct erofs_dirent) + names[i]->len;

		if (len + more > EROFS_BLOCK)
			break;
		len += more;
	}
	*ret_len = len;
	return i;
}

uint64_t erofs_dirents_size(struct erofs_name *const *names, size_t n)
{
	uint64_t size = 0;

	while (n) {
		size_t len, fit = erofs_dirents_fit(names, n, &len);

		names += fit;
		n -= fit;
		size += n ? EROFS_BLOCK : len;
	}
	return size;
}

static uint64_t nid_of(struct erofs_inode *inode, const struct erofs_meta *meta)
{
	if (inode->type == EROFS_TYPE_DIRECTORY)
		return erofs_directory_of(inode)->nid;
	return erofs_meta_nid(meta, inode->place);
}

void erofs_dirents_write(struct erofs_name *const *names, size_t n, const struct erofs_meta *meta,
			 uint8_t block[EROFS_BLOCK])
{
	size_t at = n * sizeof(struct erofs_dirent);

	memset(block, 0, EROFS_BLOCK);
	for (size_t i = 0; i < n; i++) {
		const struct erofs_dirent entry = {
			.nid = htole64(nid_of(names[i]->inode, meta)),
			.name_offset = htole16((uint16_t)at),
			.type = names[i]->inode->type,
		};

		memcpy(block + i * sizeof entry, &entry, sizeof entry);
		memcpy(block + at, names[i]->text, names[i]->len);
		at += names[i]->len;
	}
}

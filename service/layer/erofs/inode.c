#include "service/layer/erofs/inode.h"

bool erofs_inode_is_extended(const struct erofs_facts *f, struct erofs_time super)
{
	const struct erofs_attributes *a = f->attributes;

	return a->mtime != super.seconds || a->mtime_ns != super.ns || a->uid > UINT16_MAX || a->gid > UINT16_MAX ||
	       f->size > UINT32_MAX || f->links > EROFS_LINKS_MAX;
}

/* What is in front of the xattrs counts as one. */
static uint16_t xattr_count(struct bytes xattrs)
{
	return xattrs.len ? (uint16_t)((xattrs.len - sizeof(struct erofs_xattrs)) / EROFS_XATTR_UNIT + 1) : 0;
}

static void write_compact(const struct erofs_facts *f, struct erofs_inode_compact *out)
{
	const struct erofs_attributes *a = f->attributes;

	*out = (struct erofs_inode_compact){
		.format = htole16((uint16_t)(EROFS_COMPACT | f->layout << EROFS_LAYOUT_SHIFT)),
		.xattr_count = htole16(xattr_count(a->xattrs)),
		.mode = htole16(a->mode),
		.nlink = htole16((uint16_t)f->links),
		.size = htole32((uint32_t)f->size),
		.place = htole32(f->place),
		.ino = htole32(f->ino),
		.uid = htole16((uint16_t)a->uid),
		.gid = htole16((uint16_t)a->gid),
	};
}

static void write_extended(const struct erofs_facts *f, struct erofs_inode_extended *out)
{
	const struct erofs_attributes *a = f->attributes;

	*out = (struct erofs_inode_extended){
		.format = htole16((uint16_t)(EROFS_EXTENDED | f->layout << EROFS_LAYOUT_SHIFT)),
		.xattr_count = htole16(xattr_count(a->xattrs)),
		.mode = htole16(a->mode),
		.size = htole64(f->size),
		.place = htole32(f->place),
		.ino = htole32(f->ino),
		.uid = htole32(a->uid),
		.gid = htole32(a->gid),
		.mtime = htole64((uint64_t)a->mtime),
		.mtime_ns = htole32(a->mtime_ns),
		.nlink = htole32(f->links),
	};
}

struct bytes erofs_inode_write(const struct erofs_facts *f, bool is_extended, union erofs_inode_bytes *out)
{
	if (is_extended)
		write_extended(f, &out->extended);
	else
		write_compact(f, &out->compact);
	return (struct bytes){ out->bytes, erofs_inode_len(is_extended) };
}

struct bytes erofs_inode_links(uint32_t links, bool is_extended, uint8_t room[4], size_t *ret_at)
{
	uint32_t wide = htole32(links);
	uint16_t narrow = htole16((uint16_t)links);

	if (is_extended)
		memcpy(room, &wide, sizeof wide);
	else
		memcpy(room, &narrow, sizeof narrow);
	*ret_at = is_extended ? offsetof(struct erofs_inode_extended, nlink)
			      : offsetof(struct erofs_inode_compact, nlink);
	return (struct bytes){ room, is_extended ? sizeof wide : sizeof narrow };
}

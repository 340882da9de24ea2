#include "service/layer/erofs/checking.h"

static bool fields_are_ours(const struct erofs_super *s, const struct check_image *i)
{
	return le32toh(s->feature_compat) == (EROFS_COMPAT_CHECKSUM | EROFS_COMPAT_MTIME) &&
	       !(le32toh(s->feature_incompat) & ~(uint32_t)EROFS_INCOMPAT_CHUNKS) &&
	       s->block_bits == EROFS_BLOCK_BITS && !s->extra_slots && le16toh(s->root_nid) == EROFS_ROOT_NID &&
	       le32toh(s->time_ns) < 1000000000 && !s->meta_block && !s->xattr_block &&
	       le32toh(s->blocks) == check_blocks(i);
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
	return !bytes[0] && !memcmp(bytes, bytes + 1, len - 1);
}

static const char *judge(const struct erofs_super *s, const struct check_image *i, uint32_t checksum)
{
	if (le32toh(s->magic) != EROFS_MAGIC)
		return "it is no EROFS";
	if (le32toh(s->checksum) != checksum)
		return "its superblock has a wrong checksum";
	if (!fields_are_ours(s, i) || !is_zero(s->unused, sizeof s->unused) || !is_zero(s->volume, sizeof s->volume))
		return "its superblock is none that this program writes";
	return NULL;
}

int check_super(struct check_image *i, struct err *err)
{
	uint8_t block[EROFS_BLOCK - EROFS_SUPER_OFFSET];
	struct erofs_super s;
	const char *wrong;
	int rc = check_read(i, EROFS_SUPER_OFFSET, block, sizeof block, err);

	if (rc != OK)
		return rc;
	memcpy(&s, block, sizeof s);
	memset(block + offsetof(struct erofs_super, checksum), 0, sizeof s.checksum);
	wrong = judge(&s, i, erofs_crc32c(block, sizeof block));
	if (wrong)
		return check_fail(wrong, 0, err);
	i->time = (int64_t)le64toh(s.time);
	i->time_ns = le32toh(s.time_ns);
	i->has_chunks = le32toh(s.feature_incompat) & EROFS_INCOMPAT_CHUNKS;
	return OK;
}

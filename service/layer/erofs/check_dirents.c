#include "service/layer/erofs/checking.h"

bool check_comes_after(struct bytes name, struct bytes before)
{
	size_t common = before.len < name.len ? before.len : name.len;
	int order = memcmp(before.data, name.data, common);

	return order < 0 || (!order && before.len < name.len);
}

bool check_is_dots(struct bytes name)
{
	return name.data[0] == '.' && (name.len == 1 || (name.len == 2 && name.data[1] == '.'));
}

static bool is_name(struct bytes name)
{
	return name.len && name.len <= EROFS_NAME_MAX && !memchr(name.data, 0, name.len) &&
	       !memchr(name.data, '/', name.len);
}

static struct erofs_dirent dirent_at(const uint8_t *block, size_t k)
{
	struct erofs_dirent e;

	memcpy(&e, block + k * sizeof e, sizeof e);
	return e;
}

size_t check_dirents(const uint8_t *block, size_t len)
{
	size_t first;

	if (len < sizeof(struct erofs_dirent))
		return 0;
	first = le16toh(dirent_at(block, 0).name_offset);
	return first < len && first % sizeof(struct erofs_dirent) == 0 ? first / sizeof(struct erofs_dirent) : 0;
}

/* A name goes up to the next one's; the last up to a NUL, or the end. */
bool check_dirent(const uint8_t *block, size_t len, size_t n, size_t k, struct check_entry *ret_entry)
{
	struct erofs_dirent raw = dirent_at(block, k);
	size_t from = le16toh(raw.name_offset), to = len;
	struct bytes name;

	if (k + 1 < n)
		to = le16toh(dirent_at(block, k + 1).name_offset);
	if (from < n * sizeof(struct erofs_dirent) || from >= to || to > len)
		return false;
	name = (struct bytes){ block + from, to - from };
	if (k + 1 == n)
		name.len = strnlen((const char *)name.data, name.len);
	*ret_entry = (struct check_entry){ le64toh(raw.nid), raw.type, name };
	return is_name(name);
}

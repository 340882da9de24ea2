#include "service/layer/erofs/acl.h"

#include <endian.h>
#include <inttypes.h>

static void put16(uint8_t *at, uint16_t value)
{
	value = htole16(value);
	memcpy(at, &value, sizeof value);
}

static void put32(uint8_t *at, uint32_t value)
{
	value = htole32(value);
	memcpy(at, &value, sizeof value);
}

static uint32_t get32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof value);
	return le32toh(value);
}

static uint16_t get16(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof value);
	return le16toh(value);
}

static struct acl_entry read_entry(struct bytes value, size_t i)
{
	const uint8_t *at = value.data + ACL_HEAD + i * ACL_ENTRY;

	return (struct acl_entry){ get16(at), get16(at + 2), get32(at + 4) };
}

static bool has_id(uint16_t tag)
{
	return tag == ACL_USER || tag == ACL_GROUP;
}

/* The kernel's posix_acl_valid(): these in this order, those without an id once (the mask
 * may be missing where there is no id), each with known permissions. */
bool acl_is_sound(struct bytes value)
{
	uint16_t last = 0, seen = 0;
	size_t n = value.len < ACL_HEAD ? 0 : (value.len - ACL_HEAD) / ACL_ENTRY;

	if (value.len != ACL_HEAD + n * ACL_ENTRY || !n || n > ACL_ENTRIES_MAX || get32(value.data) != ACL_VERSION)
		return false;
	for (size_t i = 0; i < n; i++) {
		struct acl_entry e = read_entry(value, i);
		bool known = e.tag && e.tag <= ACL_OTHER && !(e.tag & (e.tag - 1));

		if (!known || e.permissions > 7 || e.tag < last || (e.tag == last && !has_id(e.tag)) ||
		    (has_id(e.tag) && e.id == acl_no_id))
			return false;
		last = e.tag;
		seen |= e.tag;
	}
	return (seen & ACL_USER_OBJ) && (seen & ACL_GROUP_OBJ) && (seen & ACL_OTHER) &&
	       (!(seen & (ACL_USER | ACL_GROUP)) || seen & ACL_MASK);
}

bool acl_is_minimal(struct bytes value)
{
	return value.len == ACL_HEAD + 3 * ACL_ENTRY;
}

bool acl_write(const struct acl_entry *entries, size_t n, struct buf *out)
{
	size_t len = ACL_HEAD + n * ACL_ENTRY;
	uint8_t *at = buf_reserve(out, len);

	if (!at)
		return false;
	put32(at, ACL_VERSION);
	for (size_t i = 0; i < n; i++) {
		uint8_t *entry = at + ACL_HEAD + i * ACL_ENTRY;

		put16(entry, entries[i].tag);
		put16(entry + 2, entries[i].permissions);
		put32(entry + 4, entries[i].id);
	}
	if (!acl_is_sound((struct bytes){ at, len }))
		return false;
	out->len += len;
	return true;
}

static const char *tag_name(uint16_t tag)
{
	switch (tag) {
	case ACL_USER_OBJ:
	case ACL_USER:
		return "user";
	case ACL_GROUP_OBJ:
	case ACL_GROUP:
		return "group";
	case ACL_MASK:
		return "mask";
	default:
		return "other";
	}
}

static void show_entry(struct acl_entry e, struct buf *out)
{
	buf_printf(out, "%s:", tag_name(e.tag));
	if (has_id(e.tag))
		buf_printf(out, "%" PRIu32, e.id);
	buf_printf(out, ":%c%c%c", e.permissions & 4 ? 'r' : '-', e.permissions & 2 ? 'w' : '-',
		   e.permissions & 1 ? 'x' : '-');
}

bool acl_to_text(struct bytes value, struct buf *out)
{
	size_t n = (value.len - ACL_HEAD) / ACL_ENTRY;

	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_putc(out, ',');
		show_entry(read_entry(value, i), out);
	}
	return buf_ok(out);
}

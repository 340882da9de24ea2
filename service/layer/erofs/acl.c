#include "service/layer/erofs/acl.h"

#include <endian.h>

#include "service/layer/tar_pax.h"

enum { VERSION = 2, HEAD = 4, ENTRY = 8, ENTRIES_MAX = 1024 };
enum { USER_OBJ = 0x01, USER = 0x02, GROUP_OBJ = 0x04, GROUP = 0x08, MASK = 0x10, OTHER = 0x20 };

static const uint32_t no_id = UINT32_MAX;

struct entry {
	uint16_t tag, permissions;
	uint32_t id;
};

/* ---- binary --------------------------------------------------------------------- */

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

static struct entry read_entry(struct bytes value, size_t i)
{
	const uint8_t *at = value.data + HEAD + i * ENTRY;

	return (struct entry){ get16(at), get16(at + 2), get32(at + 4) };
}

static bool has_id(uint16_t tag)
{
	return tag == USER || tag == GROUP;
}

/* The kernel's posix_acl_valid(): these in this order, those without an id once (the mask
 * may be missing where there is no id), each with known permissions. */
bool erofs_acl_is_sound(struct bytes value)
{
	uint16_t last = 0, seen = 0;
	size_t n = value.len < HEAD ? 0 : (value.len - HEAD) / ENTRY;

	if (value.len != HEAD + n * ENTRY || !n || n > ENTRIES_MAX || get32(value.data) != VERSION)
		return false;
	for (size_t i = 0; i < n; i++) {
		struct entry e = read_entry(value, i);
		bool known = e.tag && e.tag <= OTHER && !(e.tag & (e.tag - 1));

		if (!known || e.permissions > 7 || e.tag < last || (e.tag == last && !has_id(e.tag)) ||
		    (has_id(e.tag) && e.id == no_id))
			return false;
		last = e.tag;
		seen |= e.tag;
	}
	return (seen & USER_OBJ) && (seen & GROUP_OBJ) && (seen & OTHER) && (!(seen & (USER | GROUP)) || seen & MASK);
}

bool erofs_acl_is_minimal(struct bytes value)
{
	return value.len == HEAD + 3 * ENTRY;
}

/* ---- text ----------------------------------------------------------------------- */

static struct bytes cut(struct bytes *rest, const char *borders)
{
	size_t len = 0;
	struct bytes part;

	while (len < rest->len && !strchr(borders, rest->data[len]))
		len++;
	part = (struct bytes){ rest->data, len };
	len += len < rest->len;
	rest->data += len;
	rest->len -= len;
	return part;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\n' || !c;
}

static struct bytes trim(struct bytes b)
{
	while (b.len && is_blank(b.data[0])) {
		b.data++;
		b.len--;
	}
	while (b.len && is_blank(b.data[b.len - 1]))
		b.len--;
	return b;
}

static bool read_tag(struct bytes word, bool named, uint16_t *ret_tag)
{
	static const struct {
		const char *word, *letter;
		uint16_t tag, tag_named;
	} words[] = {
		{ "user", "u", USER_OBJ, USER },
		{ "group", "g", GROUP_OBJ, GROUP },
		{ "mask", "m", MASK, 0 },
		{ "other", "o", OTHER, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (tar_text_is(word, words[i].word) || tar_text_is(word, words[i].letter)) {
			*ret_tag = named ? words[i].tag_named : words[i].tag;
			return *ret_tag != 0;
		}
	return false;
}

static bool read_permissions(struct bytes text, uint16_t *ret_permissions)
{
	static const char letters[] = "rwx-";
	static const uint16_t bits[] = { 4, 2, 1, 0 };

	*ret_permissions = 0;
	for (size_t i = 0; i < text.len; i++) {
		const char *letter = text.data[i] ? strchr(letters, text.data[i]) : NULL;

		if (!letter)
			return false;
		*ret_permissions |= bits[letter - letters];
	}
	return text.len > 0;
}

/* By number, the number behind the name, or root's name. */
static bool read_id(struct bytes name, struct bytes number, uint32_t *ret_id)
{
	int64_t id;

	if (!tar_pax_decimal(name, &id) && !tar_pax_decimal(number, &id)) {
		if (!tar_text_is(name, "root"))
			return false;
		id = 0;
	}
	if (id >= no_id)
		return false;
	*ret_id = (uint32_t)id;
	return true;
}

/* "user:1000:rw-", "group::r-x", "other:r--", and star's "user:joe:rw-:1000". */
static enum erofs_acl_text read_text(struct bytes line, struct entry *ret_entry)
{
	struct bytes word = trim(cut(&line, ":")), name = trim(cut(&line, ":")), permissions, number;

	permissions = trim(cut(&line, ":"));
	number = trim(line);
	if (!permissions.len && !number.len) { /* "other:r--" */
		permissions = name;
		name.len = 0;
	}
	if (!read_tag(word, name.len > 0, &ret_entry->tag) || !read_permissions(permissions, &ret_entry->permissions))
		return EROFS_ACL_BAD;
	ret_entry->id = no_id;
	if (name.len && !read_id(name, number, &ret_entry->id))
		return EROFS_ACL_FOREIGN;
	return EROFS_ACL_READ;
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->tag != y->tag)
		return x->tag < y->tag ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

static enum erofs_acl_text read_lines(struct bytes text, struct entry *entries, size_t *ret_n)
{
	size_t n = 0;

	while (text.len) {
		struct bytes line = cut(&text, ",\n"), line_rest = line;
		enum erofs_acl_text got;

		line = trim(cut(&line_rest, "#"));
		if (!line.len)
			continue;
		if (n == ENTRIES_MAX)
			return EROFS_ACL_BAD;
		got = read_text(line, &entries[n]);
		if (got != EROFS_ACL_READ)
			return got;
		n++;
	}
	*ret_n = n;
	return EROFS_ACL_READ;
}

static enum erofs_acl_text write_entries(const struct entry *entries, size_t n, struct buf *out)
{
	uint8_t *at = buf_reserve(out, HEAD + n * ENTRY), *entry;

	if (!at)
		return EROFS_ACL_BAD;
	put32(at, VERSION);
	for (size_t i = 0; i < n; i++) {
		entry = at + HEAD + i * ENTRY;
		put16(entry, entries[i].tag);
		put16(entry + 2, entries[i].permissions);
		put32(entry + 4, entries[i].id);
	}
	if (!erofs_acl_is_sound((struct bytes){ at, HEAD + n * ENTRY }))
		return EROFS_ACL_BAD;
	out->len += HEAD + n * ENTRY;
	return EROFS_ACL_READ;
}

enum erofs_acl_text erofs_acl_from_text(struct bytes text, struct buf *out)
{
	struct entry entries[ENTRIES_MAX];
	size_t n = 0;
	enum erofs_acl_text got = read_lines(text, entries, &n);

	if (got != EROFS_ACL_READ)
		return got;
	qsort(entries, n, sizeof *entries, compare_entries);
	return write_entries(entries, n, out);
}

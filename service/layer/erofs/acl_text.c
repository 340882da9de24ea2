#include "service/layer/erofs/acl.h"

#include "service/layer/tar_pax.h"

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
		{ "user", "u", ACL_USER_OBJ, ACL_USER },
		{ "group", "g", ACL_GROUP_OBJ, ACL_GROUP },
		{ "mask", "m", ACL_MASK, 0 },
		{ "other", "o", ACL_OTHER, 0 },
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
	if (id >= acl_no_id)
		return false;
	*ret_id = (uint32_t)id;
	return true;
}

/* "user:1000:rw-", "group::r-x", "other:r--", and star's "user:joe:rw-:1000". */
static enum acl_text read_text(struct bytes line, struct acl_entry *ret_entry)
{
	struct bytes word = trim(cut(&line, ":")), name = trim(cut(&line, ":")), permissions, number;

	permissions = trim(cut(&line, ":"));
	number = trim(line);
	if (!permissions.len && !number.len) { /* "other:r--" */
		permissions = name;
		name.len = 0;
	}
	if (!read_tag(word, name.len > 0, &ret_entry->tag) || !read_permissions(permissions, &ret_entry->permissions))
		return ACL_TEXT_BAD;
	ret_entry->id = acl_no_id;
	if (name.len && !read_id(name, number, &ret_entry->id))
		return ACL_TEXT_FOREIGN;
	return ACL_TEXT_READ;
}

static bool comes_before(struct acl_entry x, struct acl_entry y)
{
	return x.tag != y.tag ? x.tag < y.tag : x.id < y.id;
}

/* Of few entries, which are mostly in order. qsort(3) of the C library asks the system how
 * much memory there is, and the worker's filter kills for that. */
static void sort(struct acl_entry *entries, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct acl_entry e = entries[i];
		size_t at = i;

		for (; at && comes_before(e, entries[at - 1]); at--)
			entries[at] = entries[at - 1];
		entries[at] = e;
	}
}

static enum acl_text read_lines(struct bytes text, struct acl_entry *entries, size_t *ret_n)
{
	size_t n = 0;

	while (text.len) {
		struct bytes line = cut(&text, ",\n"), line_rest = line;
		enum acl_text got;

		line = trim(cut(&line_rest, "#"));
		if (!line.len)
			continue;
		if (n == ACL_ENTRIES_MAX)
			return ACL_TEXT_BAD;
		got = read_text(line, &entries[n]);
		if (got != ACL_TEXT_READ)
			return got;
		n++;
	}
	*ret_n = n;
	return ACL_TEXT_READ;
}

enum acl_text acl_from_text(struct bytes text, struct buf *out)
{
	struct acl_entry entries[ACL_ENTRIES_MAX];
	size_t n = 0;
	enum acl_text got = read_lines(text, entries, &n);

	if (got != ACL_TEXT_READ)
		return got;
	sort(entries, n);
	return acl_write(entries, n, out) ? ACL_TEXT_READ : ACL_TEXT_BAD;
}

#include "store/types/context_entry.h"

#include <sys/stat.h>

/* ---- paths ------------------------------------------------------------------ */

char *context_path_show(struct bytes path, char out[CONTEXT_SHOWN_MAX])
{
	size_t n = 0;

	for (; n < path.len && n + 1 < CONTEXT_SHOWN_MAX; n++)
		out[n] = path.data[n] >= ' ' && path.data[n] <= '~' ? (char)path.data[n] : '?';
	out[n] = 0;
	if (n < path.len)
		memcpy(out + CONTEXT_SHOWN_MAX - 4, "...", 4);
	return out;
}

static int rank(uint8_t byte)
{
	return byte == '/' ? -1 : byte;
}

int context_path_compare(struct bytes a, struct bytes b)
{
	size_t len = a.len < b.len ? a.len : b.len, i = 0;

	while (i < len && a.data[i] == b.data[i])
		i++;
	if (i < len)
		return rank(a.data[i]) - rank(b.data[i]);
	return (a.len > b.len) - (a.len < b.len);
}

bool context_path_is_below(struct bytes directory, struct bytes path)
{
	if (!directory.len)
		return path.len > 0;
	return path.len > directory.len && path.data[directory.len] == '/' &&
	       !memcmp(path.data, directory.data, directory.len);
}

struct bytes context_path_parent(struct bytes path)
{
	const uint8_t *slash = path.len ? memrchr(path.data, '/', path.len) : NULL;

	return (struct bytes){ path.data, slash ? (size_t)(slash - path.data) : 0 };
}

static bool is_dots(const uint8_t *name, size_t len)
{
	return (len == 1 || len == 2) && name[0] == '.' && name[len - 1] == '.';
}

/* What is wrong with it, or NULL. */
static const char *wrong_path(struct bytes path)
{
	const uint8_t *at = path.data, *end;

	if (!path.len)
		return "is empty";
	if (path.len > CONTEXT_PATH_MAX)
		return "is longer than 4095 bytes";
	if (memchr(path.data, 0, path.len))
		return "holds a NUL";
	for (end = path.data + path.len; at <= end; at++) {
		const uint8_t *slash = at < end ? memchr(at, '/', (size_t)(end - at)) : NULL;
		size_t len = (size_t)((slash ? slash : end) - at);

		if (!len)
			return "is absolute, or has an empty component";
		if (is_dots(at, len))
			return "has a component \".\" or \"..\"";
		if (len > CONTEXT_NAME_MAX)
			return "has a component longer than 255 bytes";
		at += len;
	}
	return NULL;
}

static int fail_entry(struct bytes path, const char *wrong, struct err *err)
{
	char shown[CONTEXT_SHOWN_MAX];

	return fail(err, E_INVALID, "context entry \"%s\": %s", context_path_show(path, shown), wrong);
}

int context_path_check(struct bytes path, struct err *err)
{
	char shown[CONTEXT_SHOWN_MAX];
	const char *wrong = wrong_path(path);

	return wrong ? fail(err, E_INVALID, "context path \"%s\" %s", context_path_show(path, shown), wrong) : OK;
}

/* ---- entries ---------------------------------------------------------------- */

static bool is_known_type(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
		return true;
	default:
		return false;
	}
}

static bool is_device(uint32_t mode)
{
	return S_ISCHR(mode) || S_ISBLK(mode);
}

static const char *wrong_entry(const struct context_entry *e)
{
	if (!is_known_type(e->mode) || e->mode & ~(uint32_t)(S_IFMT | 07777))
		return "unknown type of file";
	if (e->size < 0 || (e->size && !S_ISREG(e->mode)))
		return "its size cannot be";
	if (S_ISLNK(e->mode) != (e->link.len > 0) || e->link.len > CONTEXT_LINK_MAX ||
	    (e->link.len && memchr(e->link.data, 0, e->link.len)))
		return "its link's target cannot be";
	if (e->device && !is_device(e->mode))
		return "it is no device";
	if (e->stamp && !S_ISREG(e->mode))
		return "a stamp is for regular files";
	if (e->same_as.len && (!S_ISREG(e->mode) || wrong_path(e->same_as) || e->stamp))
		return "it cannot be a hard link";
	if (e->n_xattrs && S_ISREG(e->mode))
		return "extended attributes of regular files come with their bytes";
	return NULL;
}

static int compare_bytes(struct bytes a, struct bytes b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = len ? memcmp(a.data, b.data, len) : 0;

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

static bool is_kept_xattr(struct bytes name)
{
	struct bytes capability = bytes_of("security.capability"), user = bytes_of("user.");

	return !compare_bytes(name, capability) || (name.len > user.len && !memcmp(name.data, user.data, user.len));
}

int context_xattrs_check(const struct context_xattr *xattrs, size_t n, struct bytes path, struct err *err)
{
	size_t total = 0;

	for (size_t i = 0; i < n; i++) {
		const struct context_xattr *x = &xattrs[i];

		if (x->name.len > CONTEXT_XATTR_NAME_MAX || !is_kept_xattr(x->name) ||
		    memchr(x->name.data, 0, x->name.len))
			return fail_entry(path, "no such extended attribute is taken", err);
		if (i && compare_bytes(xattrs[i - 1].name, x->name) >= 0)
			return fail_entry(path, "its extended attributes are not in order", err);
		if (x->value.len > CONTEXT_XATTRS_MAX || (total += x->name.len + x->value.len) > CONTEXT_XATTRS_MAX)
			return fail_entry(path, "it has more than 64 KiB of extended attributes", err);
	}
	return OK;
}

int context_entry_check(const struct context_entry *e, struct err *err)
{
	const char *wrong;

	if (context_path_check(e->path, err) < 0)
		return err ? err->code : E_INVALID;
	wrong = wrong_entry(e);
	return wrong ? fail_entry(e->path, wrong, err) : context_xattrs_check(e->xattrs, e->n_xattrs, e->path, err);
}

/* ---- digest ------------------------------------------------------------------- */

static void add_number(struct hasher *h, uint64_t value, size_t size)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(value >> 8 * i);
	hasher_update(h, bytes, size);
}

static void add_bytes(struct hasher *h, struct bytes b)
{
	add_number(h, b.len, 4);
	hasher_update(h, b.data, b.len);
}

void context_entry_hash(struct hasher *h, const struct context_entry *e)
{
	add_bytes(h, e->path);
	add_number(h, e->mode, 4);
	add_number(h, (uint64_t)e->size, 8);
	add_number(h, (uint64_t)e->mtime_ns, 8);
	add_number(h, e->device, 8);
	add_number(h, e->stamp, 8);
	add_bytes(h, e->link);
	add_bytes(h, e->same_as);
	add_number(h, e->n_xattrs, 4);
	for (size_t i = 0; i < e->n_xattrs; i++) {
		add_bytes(h, e->xattrs[i].name);
		add_bytes(h, e->xattrs[i].value);
	}
}

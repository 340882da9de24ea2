#include <sys/xattr.h>

#include "client/cli/build/listing.h"

static bool is_sent(const char *name)
{
	return !strcmp(name, "security.capability") || !strncmp(name, "user.", 5);
}

static int by_name(const void *a, const void *b)
{
	const struct context_xattr *x = a, *y = b;

	return strcmp((const char *)x->name.data, (const char *)y->name.data);
}

/* OK with its value; E_NOT_FOUND: it has just gone. */
static int read_value(int fd, const char *name, struct arena *a, struct bytes *ret_value, struct err *err)
{
	ssize_t size = fgetxattr(fd, name, NULL, 0);
	void *value;

	if (size < 0)
		return fail(err, E_NOT_FOUND, "extended attribute %s is gone", name);
	value = arena_alloc(a, (size_t)size + 1);
	if (!value)
		return fail_nomem(err);
	size = fgetxattr(fd, name, value, (size_t)size);
	if (size < 0)
		return fail(err, E_NOT_FOUND, "extended attribute %s is gone", name);
	*ret_value = (struct bytes){ value, (size_t)size };
	return OK;
}

static size_t count_names(const char *names, size_t len)
{
	size_t n = 0;

	for (size_t at = 0; at < len; at += strlen(names + at) + 1)
		n += is_sent(names + at);
	return n;
}

static int read_all(int fd, const char *names, size_t len, struct arena *a, struct context_xattr **ret_xattrs,
		    size_t *ret_n, struct err *err)
{
	size_t count = count_names(names, len), n = 0;
	struct context_xattr *xattrs = arena_array(a, count + 1, sizeof *xattrs);

	if (!xattrs)
		return fail_nomem(err);
	for (size_t at = 0; at < len; at += strlen(names + at) + 1) {
		int r;

		if (!is_sent(names + at))
			continue;
		xattrs[n].name = bytes_of(names + at);
		r = read_value(fd, names + at, a, &xattrs[n].value, err);
		if (r != OK && r != E_NOT_FOUND)
			return r;
		n += r == OK;
	}
	qsort(xattrs, n, sizeof *xattrs, by_name);
	*ret_xattrs = xattrs;
	*ret_n = n;
	return OK;
}

int listing_xattrs(int fd, struct arena *a, struct context_xattr **ret_xattrs, size_t *ret_n, struct err *err)
{
	ssize_t len = flistxattr(fd, NULL, 0);
	char *names;

	*ret_xattrs = NULL;
	*ret_n = 0;
	if (len <= 0)
		return OK;
	names = arena_alloc(a, (size_t)len);
	if (!names)
		return fail_nomem(err);
	len = flistxattr(fd, names, (size_t)len);
	return len <= 0 ? OK : read_all(fd, names, (size_t)len, a, ret_xattrs, ret_n, err);
}

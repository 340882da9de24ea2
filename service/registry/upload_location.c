#include "service/registry/upload.h"

/* The part behind scheme and authority, from the slash on. */
static const char *path_of(const struct url *u)
{
	const char *authority = strstr(u->text, "://");

	authority = authority ? authority + 3 : u->text;
	return authority + strcspn(authority, "/?");
}

int upload_location(const struct url *origin, const struct url *at, const char *location, char **ret_location,
		    struct err *err)
{
	CLEANUP(url_free) struct url to = { 0 };
	struct err why = ERR_INIT;
	const char *path;
	int r;

	if (!location || !*location)
		return fail(err, E_REGISTRY, "the registry did not say where the upload goes on (no Location)");
	r = url_resolve(at, location, &to, &why);
	if (r != OK)
		return fail(err, r == E_INVALID ? E_REGISTRY : r, "Location refused: %s", why.text);
	if (to.https || !at->https) {
		*ret_location = TAKE(to.text);
		return OK;
	}
	if (strcmp(to.host, origin->host) != 0 || !origin->https)
		return fail(err, E_DENIED, "Location refused: from https to http://%s", to.host);
	path = path_of(&to);
	*ret_location = format("%.*s%s%s", (int)strlen(origin->text) - 1, origin->text, *path == '/' ? "" : "/", path);
	return *ret_location ? OK : fail_nomem(err);
}

int64_t upload_range_end(const char *range)
{
	static const char unit[] = "bytes=";
	const char *digits;
	size_t n;

	if (range && !strncmp(range, unit, sizeof unit - 1))
		range += sizeof unit - 1;
	if (!range || strncmp(range, "0-", 2) != 0)
		return -1;
	digits = range + 2;
	n = strspn(digits, "0123456789");
	return n && n <= 18 && !digits[n] ? strtoll(digits, NULL, 10) + 1 : -1;
}

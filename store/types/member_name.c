#include "store/types/member_name.h"

#include <stdio.h>

enum { SHOWN_MAX = 200 };

/* The name for a message: printable ASCII, the rest as '?', cut to fit. */
static char *show(struct bytes name, char out[SHOWN_MAX])
{
	size_t n = 0;

	for (; n < name.len && n + 1 < SHOWN_MAX; n++)
		out[n] = name.data[n] >= ' ' && name.data[n] <= '~' ? (char)name.data[n] : '?';
	out[n] = 0;
	if (n < name.len)
		memcpy(out + SHOWN_MAX - 4, "...", 4);
	return out;
}

static int fail_name(struct bytes name, const char *noun, const char *wrong, struct err *err)
{
	char shown[SHOWN_MAX];

	return fail(err, E_BAD_CONTENT, "archive member \"%s\": %s is %s", show(name, shown), noun, wrong);
}

static struct bytes skip(struct bytes b, size_t n)
{
	return (struct bytes){ b.data + n, b.len - n };
}

static bool begins_with(struct bytes b, const char *text)
{
	return b.len >= strlen(text) && !memcmp(b.data, text, strlen(text));
}

static bool equals(struct bytes b, const char *text)
{
	return b.len == strlen(text) && begins_with(b, text);
}

/* Takes the component before the next slash, and the slash, off *rest. */
static struct bytes next_component(struct bytes *rest)
{
	const uint8_t *slash = rest->len ? memchr(rest->data, '/', rest->len) : NULL;
	struct bytes component = { rest->data, slash ? (size_t)(slash - rest->data) : rest->len };

	*rest = slash ? skip(*rest, component.len + 1) : (struct bytes){ rest->data, 0 };
	return component;
}

/* What is wrong with it for every kind of name. */
static const char *wrong_bytes(struct bytes name)
{
	if (!name.len)
		return "empty";
	if (name.len > MEMBER_NAME_MAX)
		return "too long";
	if (memchr(name.data, 0, name.len))
		return "with a NUL in it";
	return name.data[0] == '/' ? "absolute" : NULL;
}

/* ---- names ----------------------------------------------------------------- */

static const char *wrong_components(struct bytes rest)
{
	bool more;

	do {
		struct bytes c;

		more = memchr(rest.data, '/', rest.len) != NULL;
		c = next_component(&rest);
		if (!c.len)
			return "not a plain path: nothing between two slashes";
		if (equals(c, ".."))
			return "not a plain path: \"..\" in it";
		if (equals(c, "."))
			return "not a plain path: \".\" within it";
	} while (more);
	return NULL;
}

/* The root is left as "." or "./". */
static struct bytes strip(struct bytes name)
{
	while (begins_with(name, "./") && name.len > 2)
		name = skip(name, 2);
	if (name.len > 1 && name.data[name.len - 1] == '/')
		name.len--;
	return name;
}

int member_name_normalize(struct bytes name, char ret_name[MEMBER_NAME_ROOM], struct err *err)
{
	const char *wrong = wrong_bytes(name);
	struct bytes stripped;

	if (wrong)
		return fail_name(name, "its name", wrong, err);
	stripped = strip(name);
	wrong = equals(stripped, ".") ? NULL : wrong_components(stripped);
	if (wrong)
		return fail_name(name, "its name", wrong, err);
	memcpy(ret_name, stripped.data, stripped.len);
	ret_name[stripped.len] = 0;
	return OK;
}

/* ---- links ----------------------------------------------------------------- */

/* A path that is built: "" is the root. */
struct path {
	size_t len;
	char text[MEMBER_NAME_ROOM];
};

/* Drops the last component; false at the root. */
static bool go_up(struct path *p)
{
	if (!p->len)
		return false;
	do
		p->len--;
	while (p->len && p->text[p->len] != '/');
	return true;
}

static bool go_down(struct path *p, struct bytes component)
{
	size_t start = p->len ? p->len + 1 : 0; /* after a slash */

	if (start + component.len > MEMBER_NAME_MAX)
		return false;
	if (start)
		p->text[p->len] = '/';
	memcpy(p->text + start, component.data, component.len);
	p->len = start + component.len;
	return true;
}

static const char *follow(struct path *p, struct bytes rest)
{
	while (rest.len) {
		struct bytes c = next_component(&rest);

		if (!c.len)
			return "not a plain path: nothing between two slashes";
		if (equals(c, ".."))
			if (!go_up(p))
				return "outside of the archive";
		if (equals(c, ".") || equals(c, ".."))
			continue;
		if (!go_down(p, c))
			return "too long";
	}
	return NULL;
}

int member_name_resolve(const char *member, struct bytes target, char ret_name[MEMBER_NAME_ROOM], struct err *err)
{
	struct path p = { .len = strlen(member) };
	const char *wrong = wrong_bytes(target);

	if (!wrong && p.len > MEMBER_NAME_MAX)
		wrong = "too long";
	if (wrong)
		return fail_name(bytes_of(member), "its link's target", wrong, err);
	memcpy(p.text, member, p.len);
	go_up(&p);
	wrong = follow(&p, target);
	if (wrong)
		return fail_name(bytes_of(member), "its link's target", wrong, err);
	if (!p.len)
		p.text[p.len++] = '.';
	memcpy(ret_name, p.text, p.len);
	ret_name[p.len] = 0;
	return OK;
}

/* ---- names in documents ------------------------------------------------------ */

int member_name_clean(struct bytes name, char ret_name[MEMBER_NAME_ROOM], size_t *ret_above, struct err *err)
{
	struct path path = { .len = 0 };
	struct bytes rest = name;
	size_t above = 0;

	if (name.len > MEMBER_NAME_MAX || (name.len && memchr(name.data, 0, name.len)))
		return fail_name(name, "its name", name.len > MEMBER_NAME_MAX ? "too long" : "with a NUL in it", err);
	while (rest.len) {
		struct bytes c = next_component(&rest);

		if (!c.len || equals(c, "."))
			continue;
		if (equals(c, ".."))
			above += !go_up(&path);
		else if (!go_down(&path, c))
			return fail_name(name, "its name", "too long", err);
	}
	path.text[path.len] = 0;
	memcpy(ret_name, path.len ? path.text : ".", path.len ? path.len + 1 : sizeof ".");
	*ret_above = above;
	return OK;
}

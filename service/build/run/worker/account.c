#include "service/build/run/worker/account.h"

enum { FIELDS = 7 };

static const uint64_t id_max = INT32_MAX; /* docker's; the kernel could take more */

/* ---- lines ------------------------------------------------------------------------ */

/* A line's fields between colons. Those that are missing are empty. */
struct line {
	struct bytes field[FIELDS];
	size_t n;
};

enum { PASSWD_NAME, PASSWD_PASSWORD, PASSWD_UID, PASSWD_GID, PASSWD_GECOS, PASSWD_HOME };
enum { GROUP_NAME, GROUP_PASSWORD, GROUP_GID, GROUP_MEMBERS };

/* Up to the separator, which is taken too. */
static struct bytes take_until(struct bytes *rest, char separator)
{
	const uint8_t *at = rest->len ? memchr(rest->data, separator, rest->len) : NULL;
	struct bytes taken = { rest->data, at ? (size_t)(at - rest->data) : rest->len };
	size_t skip = taken.len + (at ? 1 : 0);

	*rest = (struct bytes){ rest->data ? rest->data + skip : NULL, rest->len - skip };
	return taken;
}

static struct bytes trim(struct bytes b)
{
	while (b.len && (b.data[b.len - 1] == ' ' || b.data[b.len - 1] == '\t' || b.data[b.len - 1] == '\r'))
		b.len--;
	while (b.len && (b.data[0] == ' ' || b.data[0] == '\t'))
		b = (struct bytes){ b.data + 1, b.len - 1 };
	return b;
}

/* The next line that is none of blanks. False at the end. */
static bool next_line(struct bytes *rest, struct line *ret_line)
{
	while (rest->len) {
		struct bytes text = trim(take_until(rest, '\n'));

		if (!text.len)
			continue;
		*ret_line = (struct line){ .n = 0 };
		while (ret_line->n < FIELDS && text.len)
			ret_line->field[ret_line->n++] = take_until(&text, ':');
		return true;
	}
	return false;
}

static bool equals(struct bytes b, const char *text)
{
	return b.len == strlen(text) && !memcmp(b.data, text, b.len);
}

/* A decimal number that is nothing else. */
static bool parse_id(struct bytes b, uint64_t *ret_id)
{
	uint64_t value = 0;

	if (!b.len || b.len > 10)
		return false;
	for (size_t i = 0; i < b.len; i++) {
		if (b.data[i] < '0' || b.data[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(b.data[i] - '0');
	}
	*ret_id = value;
	return true;
}

/* ---- user --------------------------------------------------------------------------- */

/* A number that may stand where a name could: *ret_is_number false is no failure. */
static int parse_number(const char *text, bool *ret_is_number, uint32_t *ret_id, struct err *err)
{
	size_t len = strlen(text);
	uint64_t id = 0;

	*ret_is_number = len && strspn(text, "0123456789") == len;
	if (!*ret_is_number)
		return OK;
	if (!parse_id(bytes_of(text), &id) || id > id_max)
		return fail(err, E_INVALID, "user or group '%s': uids and gids must be in range 0-2147483647", text);
	*ret_id = (uint32_t)id;
	return OK;
}

/* By name, or by number: the first line that is either. */
static bool find_user(struct bytes passwd, const char *name, bool is_number, uint32_t id, struct line *ret_line)
{
	while (next_line(&passwd, ret_line)) {
		uint64_t uid, gid;

		if (!parse_id(ret_line->field[PASSWD_UID], &uid) || uid > id_max ||
		    !parse_id(ret_line->field[PASSWD_GID], &gid) || gid > id_max)
			continue;
		if (is_number ? uid == id : equals(ret_line->field[PASSWD_NAME], name))
			return true;
	}
	return false;
}

static void take_user(const struct line *l, struct account *a)
{
	struct bytes home = l->field[PASSWD_HOME];
	uint64_t uid = 0, gid = 0;

	parse_id(l->field[PASSWD_UID], &uid);
	parse_id(l->field[PASSWD_GID], &gid);
	a->uid = (uint32_t)uid;
	a->gid = (uint32_t)gid;
	if (home.len && home.len < sizeof a->home && !memchr(home.data, 0, home.len)) {
		memcpy(a->home, home.data, home.len);
		a->home[home.len] = 0;
	}
}

/* ---- groups --------------------------------------------------------------------------- */

static bool is_member(struct bytes members, struct bytes name)
{
	while (members.len) {
		struct bytes member = trim(take_until(&members, ','));

		if (member.len == name.len && !memcmp(member.data, name.data, name.len))
			return true;
	}
	return false;
}

static bool has_group(const struct account *a, uint32_t gid)
{
	for (size_t i = 0; i < a->n_groups; i++)
		if (a->groups[i] == gid)
			return true;
	return false;
}

static int add_groups_of(struct bytes group, struct bytes name, struct account *a, struct err *err)
{
	struct line l;

	while (name.len && next_line(&group, &l)) {
		uint64_t gid;

		if (!parse_id(l.field[GROUP_GID], &gid) || gid > id_max || !is_member(l.field[GROUP_MEMBERS], name) ||
		    has_group(a, (uint32_t)gid))
			continue;
		if (a->n_groups == ACCOUNT_GROUPS_MAX)
			return fail(err, E_LIMIT, "user '%.*s' is in more than %d groups", (int)min_size(name.len, 64),
				    (const char *)name.data, ACCOUNT_GROUPS_MAX);
		a->groups[a->n_groups++] = (uint32_t)gid;
	}
	return OK;
}

static int resolve_group(const char *name, struct bytes group, uint32_t *ret_gid, struct err *err)
{
	bool is_number;
	struct line l;
	int rc = parse_number(name, &is_number, ret_gid, err);

	if (rc != OK || is_number)
		return rc;
	while (next_line(&group, &l)) {
		uint64_t gid;

		if (!equals(l.field[GROUP_NAME], name) || !parse_id(l.field[GROUP_GID], &gid) || gid > id_max)
			continue;
		*ret_gid = (uint32_t)gid;
		return OK;
	}
	return fail(err, E_INVALID, "unable to find group %s: no matching entries in group file", name);
}

/* ---- all ------------------------------------------------------------------------------- */

static int resolve_user(const char *name, bool own_groups, struct bytes passwd, struct bytes group, struct account *a,
			struct err *err)
{
	struct line l;
	bool is_number;
	uint32_t id = 0;
	int rc = parse_number(name, &is_number, &id, err);

	if (rc != OK)
		return rc;
	if (!find_user(passwd, name, is_number, id, &l)) {
		if (!is_number)
			return fail(err, E_INVALID, "unable to find user %s: no matching entries in passwd file", name);
		a->uid = id;
		return OK;
	}
	take_user(&l, a);
	return own_groups ? add_groups_of(group, l.field[PASSWD_NAME], a, err) : OK;
}

int account_resolve(const char *user, struct bytes passwd, struct bytes group, struct account *ret_account,
		    struct err *err)
{
	struct account a = { .home = "/" };
	char name[ACCOUNT_NAME_MAX];
	const char *colon = strchr(user, ':');
	size_t len = colon ? (size_t)(colon - user) : strlen(user);
	int rc;

	if (len >= sizeof name || strlen(user + len) > sizeof name)
		return fail(err, E_INVALID, "a user of more than %zu bytes", sizeof name - 1);
	snprintf(name, sizeof name, "%.*s", (int)len, user);
	rc = resolve_user(len ? name : "0", !colon || !colon[1], passwd, group, &a, err);
	if (rc == OK && colon && colon[1])
		rc = resolve_group(colon + 1, group, &a.gid, err);
	if (rc == OK)
		*ret_account = a;
	return rc;
}

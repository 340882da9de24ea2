#include "service/build/mount.h"

#include "service/build/csv.h"
#include "service/build/number.h"
#include "service/build/suggest.h"

static const char *const type_names[] = {
	[MOUNT_BIND] = "bind", [MOUNT_CACHE] = "cache", [MOUNT_SECRET] = "secret",
	[MOUNT_SSH] = "ssh",   [MOUNT_TMPFS] = "tmpfs",
};

static const char *const sharing_names[] = {
	[SHARING_UNSET] = "",
	[SHARING_LOCKED] = "locked",
	[SHARING_PRIVATE] = "private",
	[SHARING_SHARED] = "shared",
};

const char *mount_type_name(enum mount_type type)
{
	return type_names[type];
}

struct reading {
	struct mount mount;
	bool access_given; /* ro or rw */
	struct err *err;
};

struct option {
	const char *field;
	struct bytes key;  /* in any case */
	const char *value; /* NULL when there is no '=' */
};

/* ---- values ----------------------------------------------------------------- */

static int invalid_value(const struct option *o, struct err *err)
{
	return fail(err, E_INVALID, "invalid value for %.*s: %.128s", (int)o->key.len, (const char *)o->key.data,
		    o->value);
}

static int unexpected_for_type(const struct reading *g, const struct option *o)
{
	return fail(g->err, E_INVALID, "unexpected key '%.*s' for mount type '%s'", (int)o->key.len,
		    (const char *)o->key.data, type_names[g->mount.type]);
}

static int set_type(struct reading *g, const struct option *o)
{
	struct suggestion meant;

	for (size_t i = 0; i < ARRAY_LEN(type_names); i++)
		if (bytes_are_nocase(bytes_of(o->value), type_names[i])) {
			g->mount.type = (enum mount_type)i;
			return OK;
		}
	return fail(g->err, E_INVALID, "unsupported mount type \"%.128s\"%s", o->value,
		    suggest(bytes_of(o->value), type_names, ARRAY_LEN(type_names), false, &meant));
}

static int set_sharing(struct reading *g, const struct option *o)
{
	struct suggestion meant;

	for (size_t i = SHARING_LOCKED; i < ARRAY_LEN(sharing_names); i++)
		if (bytes_are_nocase(bytes_of(o->value), sharing_names[i])) {
			g->mount.sharing = (enum mount_sharing)i;
			return OK;
		}
	return fail(g->err, E_INVALID, "unsupported sharing value \"%.128s\"%s", o->value,
		    suggest(bytes_of(o->value), sharing_names + 1, ARRAY_LEN(sharing_names) - 1, false, &meant));
}

static int set_from(struct reading *g, const struct option *o)
{
	g->mount.from = o->value;
	return OK;
}

static int set_source(struct reading *g, const struct option *o)
{
	g->mount.source = o->value;
	return OK;
}

static int set_target(struct reading *g, const struct option *o)
{
	g->mount.target = o->value;
	return OK;
}

static int set_id(struct reading *g, const struct option *o)
{
	g->mount.id = o->value;
	return OK;
}

static int set_env(struct reading *g, const struct option *o)
{
	g->mount.env = o->value;
	return OK;
}

static int set_access(struct reading *g, const struct option *o, bool means_read_only)
{
	bool on = true;

	if (o->value && !bool_parse(o->value, &on))
		return invalid_value(o, g->err);
	g->mount.read_only = on == means_read_only;
	g->access_given = true;
	return OK;
}

static int set_read_only(struct reading *g, const struct option *o)
{
	return set_access(g, o, true);
}

static int set_read_write(struct reading *g, const struct option *o)
{
	return set_access(g, o, false);
}

static int set_required(struct reading *g, const struct option *o)
{
	bool on = true;

	if (g->mount.type != MOUNT_SECRET && g->mount.type != MOUNT_SSH)
		return unexpected_for_type(g, o);
	if (o->value && !bool_parse(o->value, &on))
		return invalid_value(o, g->err);
	g->mount.required = on;
	return OK;
}

static int set_size(struct reading *g, const struct option *o)
{
	if (g->mount.type != MOUNT_TMPFS)
		return unexpected_for_type(g, o);
	return size_parse(o->value, &g->mount.size) ? OK : invalid_value(o, g->err);
}

static int set_number(struct reading *g, const struct option *o, unsigned base, bool *has, uint32_t *number)
{
	if (!uint32_parse(o->value, base, number))
		return fail(g->err, E_INVALID, "invalid value %.128s for %.*s", o->value, (int)o->key.len,
			    (const char *)o->key.data);
	*has = true;
	return OK;
}

static int set_mode(struct reading *g, const struct option *o)
{
	return set_number(g, o, 8, &g->mount.has_mode, &g->mount.mode);
}

static int set_uid(struct reading *g, const struct option *o)
{
	return set_number(g, o, 10, &g->mount.has_uid, &g->mount.uid);
}

static int set_gid(struct reading *g, const struct option *o)
{
	return set_number(g, o, 10, &g->mount.has_gid, &g->mount.gid);
}

/* ---- options ---------------------------------------------------------------- */

static const struct known {
	const char *name;
	int (*set)(struct reading *g, const struct option *o);
	bool bare; /* may stand without a value */
} known[] = {
	{ "type", set_type, false },
	{ "from", set_from, false },
	{ "source", set_source, false },
	{ "src", set_source, false },
	{ "target", set_target, false },
	{ "dst", set_target, false },
	{ "destination", set_target, false },
	{ "readonly", set_read_only, true },
	{ "ro", set_read_only, true },
	{ "readwrite", set_read_write, true },
	{ "rw", set_read_write, true },
	{ "required", set_required, true },
	{ "id", set_id, false },
	{ "sharing", set_sharing, false },
	{ "size", set_size, false },
	{ "mode", set_mode, false },
	{ "uid", set_uid, false },
	{ "gid", set_gid, false },
	{ "env", set_env, false },
};

static const struct known *find_known(struct bytes key)
{
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (bytes_are_nocase(key, known[i].name))
			return &known[i];
	return NULL;
}

static int unexpected(const struct option *o, struct err *err)
{
	const char *names[ARRAY_LEN(known)];
	struct suggestion meant;

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		names[i] = known[i].name;
	return fail(err, E_INVALID, "unexpected key '%.*s' in '%.128s'%s", (int)min_size(o->key.len, 64),
		    (const char *)o->key.data, o->field, suggest(o->key, names, ARRAY_LEN(names), false, &meant));
}

static struct option split(const char *field)
{
	struct bytes key = bytes_first(bytes_of(field), strcspn(field, "="));

	return (struct option){ field, key, field[key.len] ? field + key.len + 1 : NULL };
}

static int apply(struct reading *g, struct option *o, word_expander expander, void *arg)
{
	const struct known *k = find_known(o->key);
	int r;

	if (!o->value && (!k || !k->bare))
		return fail(g->err, E_INVALID, "invalid field '%.128s' must be a key=value pair", o->field);
	r = o->value ? expander(arg, o->value, &o->value, g->err) : OK;
	if (r != OK)
		return r;
	return k ? k->set(g, o) : unexpected(o, g->err);
}

/* ---- the whole -------------------------------------------------------------- */

static int check_ids(const struct reading *g)
{
	const struct mount *m = &g->mount;
	const char *given = m->has_mode ? "mode" : m->has_uid ? "uid" : m->has_gid ? "gid" : NULL;

	if (!given || m->type == MOUNT_SECRET || m->type == MOUNT_SSH || m->type == MOUNT_CACHE)
		return OK;
	return fail(g->err, E_INVALID, "%s not allowed for \"%s\" type mounts", given, type_names[m->type]);
}

static int check_secret(const struct reading *g)
{
	const struct mount *m = &g->mount;

	if (m->type != MOUNT_SECRET)
		return OK;
	if (*m->from)
		return fail(g->err, E_INVALID, "secret mount should not have a from");
	if (m->sharing != SHARING_UNSET)
		return fail(g->err, E_INVALID, "secret mount should not define sharing");
	if (!*m->source && !*m->target && !*m->id)
		return fail(g->err, E_INVALID, "invalid secret mount. one of source, target required");
	if (*m->source && *m->id)
		return fail(g->err, E_INVALID, "both source and id can't be set");
	return OK;
}

static int finish(struct reading *g)
{
	struct mount *m = &g->mount;

	if (check_ids(g) < 0)
		return E_INVALID;
	if (!g->access_given)
		m->read_only = m->type != MOUNT_CACHE && m->type != MOUNT_TMPFS;
	if (check_secret(g) < 0)
		return E_INVALID;
	if (m->sharing != SHARING_UNSET && m->type != MOUNT_CACHE)
		return fail(g->err, E_INVALID, "invalid cache sharing set for %s mount", type_names[m->type]);
	return OK;
}

static const struct mount plain = { .type = MOUNT_BIND, .from = "", .source = "", .target = "", .id = "" };

int mount_parse(const char *text, word_expander expander, void *arg, struct arena *a, struct mount *ret_mount,
		struct err *err)
{
	struct reading g = { .mount = plain, .err = err };
	struct string_list fields;
	int r = csv_fields(text, a, &fields, err);

	if (r == E_INVALID)
		return err_wrap(err, "failed to parse csv mounts");
	for (size_t i = 0; r == OK && i < fields.n; i++) {
		struct option o = split(fields.items[i]);

		r = apply(&g, &o, expander, arg);
	}
	if (r == OK)
		r = finish(&g);
	if (r == OK)
		*ret_mount = g.mount;
	return r;
}

int mount_scan(const char *text, struct arena *a, struct mount *ret_mount, struct err *err)
{
	struct string_list fields;
	int r = csv_fields(text, a, &fields, err);

	*ret_mount = plain;
	if (r == E_INVALID)
		return err_wrap(err, "failed to parse csv mounts");
	for (size_t i = 0; r == OK && i < fields.n; i++) {
		struct option o = split(fields.items[i]);
		const char *dollar = o.value ? strchr(o.value, '$') : NULL;

		if (!o.value || !bytes_are_nocase(o.key, "from"))
			continue;
		if (dollar && dollar[1])
			return fail(err, E_INVALID,
				    "'from' doesn't support variable expansion, define alias stage instead");
		ret_mount->from = o.value;
	}
	return r;
}

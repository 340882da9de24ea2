#include "service/layer/erofs/xattr.h"

#include "service/layer/erofs/acl.h"

enum { NAME_MAX_BYTES = 255, VALUE_MAX = UINT16_MAX };

void erofs_xattr_init(struct erofs_xattr_set *x)
{
	*x = (struct erofs_xattr_set){
		.acl_access = BUF_INIT(VALUE_MAX),
		.acl_default = BUF_INIT(VALUE_MAX),
		.names = BUF_INIT(TAR_EXTENDED_MAX),
		.body = BUF_INIT(2 * (size_t)EROFS_XATTRS_MAX),
	};
}

void erofs_xattr_free(struct erofs_xattr_set *x)
{
	buf_free(&x->acl_access);
	buf_free(&x->acl_default);
	buf_free(&x->names);
	buf_free(&x->body);
}

static bool begins_with(struct bytes b, const char *text)
{
	return b.len >= strlen(text) && !memcmp(b.data, text, strlen(text));
}

static struct bytes after(struct bytes b, const char *text)
{
	return (struct bytes){ b.data + strlen(text), b.len - strlen(text) };
}

static int fail_xattr(const struct tar_item *item, const char *what, struct err *err)
{
	return fail(err, E_BAD_CONTENT, "layer has %s: '%.*s'", what, (int)min_size(item->name.len, 128),
		    (const char *)item->name.data);
}

/* ---- the set ---------------------------------------------------------------------- */

static bool same(const struct erofs_xattr_record *r, uint8_t index, struct bytes name)
{
	return r->index == index && r->name.len == name.len &&
	       (!name.len || !memcmp(r->name.data, name.data, name.len));
}

static int add(struct erofs_xattr_set *x, uint8_t index, struct bytes name, struct bytes value, struct err *err)
{
	size_t i = 0;

	while (i < x->n && !same(&x->records[i], index, name))
		i++;
	if (i == EROFS_XATTRS_OF_ENTRY)
		return fail(err, E_LIMIT, "layer has an entry with more than %d extended attributes",
			    EROFS_XATTRS_OF_ENTRY);
	if (value.len > VALUE_MAX)
		return fail(err, E_LIMIT, "layer has an extended attribute of more than %d bytes", VALUE_MAX);
	x->records[i] = (struct erofs_xattr_record){ index, name, value };
	if (i == x->n)
		x->n++;
	return OK;
}

/* ---- names ------------------------------------------------------------------------ */

/* GNU tar's way to have "=" and "%" in a key: %3D and %25. */
static int decode_name(struct erofs_xattr_set *x, const struct tar_item *item, struct bytes raw, struct bytes *ret_name,
		       struct err *err)
{
	uint8_t *out;
	size_t len = 0;

	if (!raw.len || !memchr(raw.data, '%', raw.len)) {
		*ret_name = raw;
		return OK;
	}
	/* All names of the entry have room in what the first one reserves. */
	out = buf_reserve(&x->names, x->names.len ? raw.len : item->pax.len);
	if (!out)
		return fail_nomem(err);
	for (size_t i = 0; i < raw.len; i++) {
		struct bytes rest = { raw.data + i, raw.len - i };
		bool coded = begins_with(rest, "%3D") || begins_with(rest, "%25");

		out[len++] = !coded ? raw.data[i] : raw.data[i + 1] == '3' ? '=' : '%';
		i += coded ? 2 : 0;
	}
	x->names.len += len;
	*ret_name = (struct bytes){ out, len };
	return OK;
}

static const struct prefix {
	const char *text;
	uint8_t index;
} prefixes[] = {
	{ "user.", EROFS_XATTR_USER },
	{ "trusted.", EROFS_XATTR_TRUSTED },
	{ "security.", EROFS_XATTR_SECURITY },
};

static const struct prefix *prefix_of(struct bytes name)
{
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (begins_with(name, prefixes[i].text))
			return &prefixes[i];
	return NULL;
}

static bool is_overlay(struct bytes name)
{
	return begins_with(name, "trusted.overlay.") || begins_with(name, "user.overlay.");
}

static int check_name(const struct tar_item *item, struct bytes name, const struct prefix *p, struct err *err)
{
	if (is_overlay(name))
		return fail_xattr(item, "an extended attribute of overlayfs", err);
	if (name.len > NAME_MAX_BYTES || name.len == strlen(p->text) || memchr(name.data, 0, name.len))
		return fail_xattr(item, "an extended attribute with a bad name", err);
	return OK;
}

/* ---- ACLs ------------------------------------------------------------------------- */

static bool may_have_acl(const struct tar_item *item, uint8_t index)
{
	if (index == EROFS_XATTR_ACL_DEFAULT)
		return item->kind == TAR_KIND_DIRECTORY;
	return item->kind != TAR_KIND_SYMLINK;
}

static int add_acl(struct erofs_xattr_set *x, const struct tar_item *item, uint8_t index, struct bytes value,
		   struct err *err)
{
	if (!value.len || !may_have_acl(item, index))
		return OK;
	if (!acl_is_sound(value))
		return fail_xattr(item, "a bad ACL", err);
	if (index == EROFS_XATTR_ACL_ACCESS && acl_is_minimal(value))
		return OK; /* the mode says it */
	return add(x, index, (struct bytes){ NULL, 0 }, value, err);
}

static int add_acl_text(struct erofs_xattr_set *x, const struct tar_item *item, uint8_t index, struct bytes text,
			struct buf *value, struct err *err)
{
	buf_reset(value);
	if (!text.len)
		return OK;
	switch (acl_from_text(text, value)) {
	case ACL_TEXT_READ:
		return add_acl(x, item, index, buf_bytes(value), err);
	case ACL_TEXT_FOREIGN:
		return OK;
	default:
		return fail_xattr(item, "a bad ACL", err);
	}
}

static int add_acl_texts(struct erofs_xattr_set *x, const struct tar_item *item, struct err *err)
{
	int rc = add_acl_text(x, item, EROFS_XATTR_ACL_ACCESS, x->access_text, &x->acl_access, err);

	return rc == OK ? add_acl_text(x, item, EROFS_XATTR_ACL_DEFAULT, x->default_text, &x->acl_default, err) : rc;
}

/* ---- records ---------------------------------------------------------------------- */

static int take_xattr(struct erofs_xattr_set *x, const struct tar_item *item, const struct erofs_xattr_rules *rules,
		      const struct tar_pax_record *r, struct err *err)
{
	struct bytes name = after(r->key, "SCHILY.xattr.");
	const struct prefix *p;
	int rc = decode_name(x, item, name, &name, err);

	if (rc != OK)
		return rc;
	if (tar_text_is(name, "system.posix_acl_access"))
		return add_acl(x, item, EROFS_XATTR_ACL_ACCESS, r->value, err);
	if (tar_text_is(name, "system.posix_acl_default"))
		return add_acl(x, item, EROFS_XATTR_ACL_DEFAULT, r->value, err);
	p = prefix_of(name);
	if (!p)
		return OK;
	rc = check_name(item, name, p, err);
	if (rc != OK || (rules->drop_trusted && p->index == EROFS_XATTR_TRUSTED))
		return rc;
	return add(x, p->index, after(name, p->text), r->value, err);
}

static int take_record(struct erofs_xattr_set *x, const struct tar_item *item, const struct erofs_xattr_rules *rules,
		       const struct tar_pax_record *r, struct err *err)
{
	if (begins_with(r->key, "SCHILY.xattr."))
		return take_xattr(x, item, rules, r, err);
	if (tar_text_is(r->key, "SCHILY.acl.access"))
		x->access_text = r->value;
	if (tar_text_is(r->key, "SCHILY.acl.default"))
		x->default_text = r->value;
	return OK;
}

/* ---- the body --------------------------------------------------------------------- */

static void put_zeros(struct buf *b, size_t len)
{
	static const uint8_t zeros[sizeof(struct erofs_xattrs)];

	buf_append(b, zeros, len);
}

static void put_record(struct buf *body, const struct erofs_xattr_record *r)
{
	struct erofs_xattr head = {
		.name_len = (uint8_t)r->name.len,
		.name_index = r->index,
		.value_len = htole16((uint16_t)r->value.len),
	};

	buf_append(body, &head, sizeof head);
	buf_append(body, r->name.data, r->name.len);
	buf_append(body, r->value.data, r->value.len);
	put_zeros(body, -body->len % EROFS_XATTR_UNIT);
}

static int fail_too_large(size_t max, struct err *err)
{
	return fail(err, E_LIMIT, "layer has an entry with more than %zu bytes of extended attributes", max);
}

static int finish_body(struct erofs_xattr_set *x, size_t max, struct bytes *ret_body, struct err *err)
{
	if (!buf_ok(&x->body))
		return fail_nomem(err);
	if (x->body.len > max)
		return fail_too_large(max, err);
	*ret_body = buf_bytes(&x->body);
	return OK;
}

static int read_records(struct erofs_xattr_set *x, const struct tar_item *item, const struct erofs_xattr_rules *rules,
			struct err *err)
{
	struct bytes records = item->pax;
	struct tar_pax_record r;
	int rc = OK;

	x->n = 0;
	x->access_text = x->default_text = (struct bytes){ NULL, 0 };
	buf_reset(&x->names);
	while (rc == OK && records.len && tar_pax_next(&records, &r))
		rc = take_record(x, item, rules, &r, err);
	return rc == OK ? add_acl_texts(x, item, err) : rc;
}

int erofs_xattr_read(struct erofs_xattr_set *x, const struct tar_item *item, const struct erofs_xattr_rules *rules,
		     struct bytes *ret_body, struct err *err)
{
	int rc = read_records(x, item, rules, err);

	buf_reset(&x->body);
	if (rc == OK && x->n)
		put_zeros(&x->body, sizeof(struct erofs_xattrs));
	for (size_t i = 0; rc == OK && i < x->n; i++) {
		if (x->body.len + x->records[i].value.len > rules->max_bytes)
			return fail_too_large(rules->max_bytes, err);
		put_record(&x->body, &x->records[i]);
	}
	return rc == OK ? finish_body(x, rules->max_bytes, ret_body, err) : rc;
}

/* For overlayfs with and without privileges. */
static void put_mark(struct buf *body, const char *name, const char *value)
{
	struct erofs_xattr_record mark = { .name = bytes_of(name), .value = bytes_of(value) };

	mark.index = EROFS_XATTR_TRUSTED;
	put_record(body, &mark);
	mark.index = EROFS_XATTR_USER;
	put_record(body, &mark);
}

int erofs_xattr_mark(struct erofs_xattr_set *x, struct bytes body, bool opaque, bool whiteouts, struct bytes *ret_body,
		     struct err *err)
{
	buf_reset(&x->body);
	if (body.len)
		buf_append(&x->body, body.data, body.len);
	else
		put_zeros(&x->body, sizeof(struct erofs_xattrs));
	if (opaque)
		put_mark(&x->body, "overlay.opaque", "y");
	if (whiteouts)
		put_mark(&x->body, "overlay.origin", "");
	return finish_body(x, EROFS_XATTRS_MAX, ret_body, err);
}

#include <sys/stat.h>

#include "service/layer/erofs/acl.h"
#include "service/layer/erofs/checking.h"

struct xattr {
	uint8_t index;
	struct bytes name, value;
};

static size_t padded(size_t len)
{
	return len + -len % EROFS_XATTR_UNIT;
}

/* Takes the next one; false when it does not fit. */
static bool next_xattr(struct bytes *rest, struct xattr *x)
{
	struct erofs_xattr head;
	size_t len;

	if (rest->len < sizeof head)
		return false;
	memcpy(&head, rest->data, sizeof head);
	len = sizeof head + head.name_len + le16toh(head.value_len);
	if (len > rest->len)
		return false;
	x->index = head.name_index;
	x->name = (struct bytes){ rest->data + sizeof head, head.name_len };
	x->value = (struct bytes){ x->name.data + x->name.len, le16toh(head.value_len) };
	len = padded(len) < rest->len ? padded(len) : rest->len;
	rest->data += len;
	rest->len -= len;
	return true;
}

static bool begins_with(struct bytes b, const char *text)
{
	return b.len >= strlen(text) && !memcmp(b.data, text, strlen(text));
}

static bool is_text(struct bytes b, const char *text)
{
	return b.len == strlen(text) && !memcmp(b.data, text, b.len);
}

/* The marks of directories, as the writer makes them. */
static const char *judge_overlay(const struct xattr *x, struct check_inode *n)
{
	bool opaque = is_text(x->name, "overlay.opaque") && is_text(x->value, "y");

	if (!S_ISDIR(n->mode) || !(opaque || (is_text(x->name, "overlay.origin") && !x->value.len)))
		return "an extended attribute of overlayfs";
	n->is_opaque = n->is_opaque || opaque;
	return NULL;
}

static const char *judge_named(const struct xattr *x, struct check_inode *n)
{
	if (!x->name.len || memchr(x->name.data, 0, x->name.len))
		return "an extended attribute with a bad name";
	if (x->index != EROFS_XATTR_SECURITY && begins_with(x->name, "overlay."))
		return judge_overlay(x, n);
	return NULL;
}

static const char *judge_acl(const struct xattr *x, const struct check_inode *n)
{
	if (x->name.len || !acl_is_sound(x->value) || S_ISLNK(n->mode) ||
	    (x->index == EROFS_XATTR_ACL_DEFAULT && !S_ISDIR(n->mode)))
		return "a bad ACL";
	return NULL;
}

static const char *judge_xattr(const struct xattr *x, struct check_inode *n)
{
	switch (x->index) {
	case EROFS_XATTR_USER:
	case EROFS_XATTR_TRUSTED:
	case EROFS_XATTR_SECURITY:
		return judge_named(x, n);
	case EROFS_XATTR_ACL_ACCESS:
	case EROFS_XATTR_ACL_DEFAULT:
		return judge_acl(x, n);
	default:
		return "an extended attribute of unknown kind";
	}
}

static const char *judge_body(struct bytes body, struct check_inode *n)
{
	struct erofs_xattrs head;
	const char *wrong = NULL;

	memcpy(&head, body.data, sizeof head);
	if (head.shared_count)
		return "extended attributes that are shared";
	body.data += sizeof head;
	body.len -= sizeof head;
	while (!wrong && body.len) {
		struct xattr x;

		wrong = next_xattr(&body, &x) ? judge_xattr(&x, n) : "extended attributes that are cut off";
	}
	return wrong;
}

int check_xattrs(struct check_image *i, struct check_inode *n, struct err *err)
{
	CLEANUP(freep) uint8_t *body = n->xattrs_len ? malloc(n->xattrs_len) : NULL;
	const char *wrong;
	int rc;

	if (!n->xattrs_len)
		return OK;
	if (!body)
		return fail_nomem(err);
	rc = check_read(i, n->xattrs, body, n->xattrs_len, err);
	if (rc != OK)
		return rc;
	wrong = judge_body((struct bytes){ body, n->xattrs_len }, n);
	return wrong ? check_fail(wrong, n->nid, err) : OK;
}

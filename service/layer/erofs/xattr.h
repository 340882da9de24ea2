/*
 * The extended attributes of a tar entry, as the image has them behind its inode.
 *
 * They come as PAX records SCHILY.xattr.NAME (the last of each name counts), ACLs also
 * as SCHILY.acl.access and .default. Kept are user.*, trusted.* (unless the policy says
 * otherwise), security.* and the two ACLs; other namespaces are not of a file but of a
 * file system, and are left out, as are ACLs with users that only the writer's machine
 * knows, and ACLs of symlinks. E_BAD_CONTENT: overlayfs's own (trusted.overlay.*,
 * user.overlay.*), by which a layer could show files of other layers under wrong names,
 * and names, values and ACLs that Linux would not take. E_LIMIT: too many, too large.
 *
 * Memory: buffers of at most TAR_EXTENDED_MAX that are used again. One thread.
 */
#ifndef SERVICE_LAYER_EROFS_XATTR_H
#define SERVICE_LAYER_EROFS_XATTR_H

#include "service/layer/erofs/format.h"
#include "service/layer/tar_stream.h"

enum { EROFS_XATTRS_OF_ENTRY = 256 };

struct erofs_xattr_record {
	uint8_t index;
	struct bytes name; /* without prefix */
	struct bytes value;
};

struct erofs_xattr_set {
	struct erofs_xattr_record records[EROFS_XATTRS_OF_ENTRY];
	size_t n;
	struct bytes access_text, default_text; /* SCHILY.acl.* */
	struct buf acl_access, acl_default;	/* made of them */
	struct buf names;			/* decoded; records point into it, so it never grows under them */
	struct buf body;
};

void erofs_xattr_init(struct erofs_xattr_set *x);
void erofs_xattr_free(struct erofs_xattr_set *x);

struct erofs_xattr_rules {
	size_t max_bytes; /* of all of one entry, <= EROFS_XATTRS_MAX */
	bool drop_trusted;
};

/* What an entry has: *ret_body is what belongs behind its inode, empty when it has none;
 * borrowed until the next call. */
int erofs_xattr_read(struct erofs_xattr_set *x, const struct tar_item *item, const struct erofs_xattr_rules *rules,
		     struct bytes *ret_body, struct err *err);

/* The same body with overlayfs's marks of a directory added to it: that it is opaque; that
 * it has whiteouts, without which overlayfs (fs/overlayfs/inode.c, ovl_get_inode) lists
 * those of a directory that only one layer has. */
int erofs_xattr_mark(struct erofs_xattr_set *x, struct bytes body, bool opaque, bool whiteouts, struct bytes *ret_body,
		     struct err *err);

#endif

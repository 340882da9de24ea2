/*
 * POSIX ACLs as the kernel takes them in system.posix_acl_access and _default (and as
 * EROFS stores them): version 2, entries of tag, permissions and id.
 *
 * Sources: Linux, include/uapi/linux/posix_acl_xattr.h; POSIX.1e draft 17, 23.3.1 (the
 * text form, which GNU tar and star write as SCHILY.acl.access and .default).
 *
 * Pure functions; any thread.
 */
#ifndef SERVICE_LAYER_EROFS_ACL_H
#define SERVICE_LAYER_EROFS_ACL_H

#include <stdbool.h>

#include "proto/runtime/buf.h"

enum erofs_acl_text { EROFS_ACL_READ, EROFS_ACL_FOREIGN, EROFS_ACL_BAD };

/* Appends the binary form of a text. FOREIGN: it has names of users or groups other than
 * root's, which mean nothing here, and no number beside them; nothing is appended. */
enum erofs_acl_text erofs_acl_from_text(struct bytes text, struct buf *out);

/* Whether a value is one that the kernel takes. */
bool erofs_acl_is_sound(struct bytes value);

/* Whether it says no more than a mode does: user, group and others. */
bool erofs_acl_is_minimal(struct bytes value);

#endif

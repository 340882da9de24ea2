/*
 * POSIX ACLs as the kernel takes them in system.posix_acl_access and _default (and as
 * EROFS stores them): version 2, entries of tag, permissions and id, little-endian.
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

enum { ACL_VERSION = 2, ACL_HEAD = 4, ACL_ENTRY = 8, ACL_ENTRIES_MAX = 1024 };

enum acl_tag {
	ACL_USER_OBJ = 0x01,
	ACL_USER = 0x02,
	ACL_GROUP_OBJ = 0x04,
	ACL_GROUP = 0x08,
	ACL_MASK = 0x10,
	ACL_OTHER = 0x20,
};

static const uint32_t acl_no_id = UINT32_MAX;

struct acl_entry {
	uint16_t tag, permissions;
	uint32_t id; /* of ACL_USER and ACL_GROUP, else acl_no_id */
};

/* Whether a value is one that the kernel takes. */
bool acl_is_sound(struct bytes value);

/* Whether it says no more than a mode does: user, group and others. */
bool acl_is_minimal(struct bytes value);

/* Appends the binary form; false when it would not be sound, or memory is short. */
bool acl_write(const struct acl_entry *entries, size_t n, struct buf *out);

/* Appends a sound value in the text form, with numbers for users and groups and commas
 * between entries; false when memory is short. */
bool acl_to_text(struct bytes value, struct buf *out);

/* ---- acl_text.c ------------------------------------------------------------------- */

enum acl_text { ACL_TEXT_READ, ACL_TEXT_FOREIGN, ACL_TEXT_BAD };

/* Appends the binary form of a text. FOREIGN: it has names of users or groups other than
 * root's, which mean nothing here, and no number beside them; nothing is appended. */
enum acl_text acl_from_text(struct bytes text, struct buf *out);

#endif

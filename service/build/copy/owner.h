/*
 * --chown, and the user that WORKDIR's directories belong to: USER[:GROUP], names by the passwd and group
 * files of the tree (build.md 1.3). A user by number brings the same number as group, one by name its own
 * group; no user is root.
 *
 * E_INVALID: no such name, in docker's words; E_LIMIT: a file of more than ACCOUNT_FILE_MAX bytes.
 */
#ifndef SERVICE_BUILD_COPY_OWNER_H
#define SERVICE_BUILD_COPY_OWNER_H

#include "service/tree/view.h"

struct copy_owner {
	uint32_t uid, gid;
};

/* `into`: NULL, there are no names. */
int owner_resolve(struct tree_view *into, const char *text, struct copy_owner *ret_owner, struct err *err);

#endif

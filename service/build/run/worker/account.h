/*
 * Who a step runs as: USER[:GROUP] of a Dockerfile, by the passwd and group files of the
 * image. Numbers need neither file; a name needs its line.
 *
 * A group that is given is the only one. Else it is the user's primary group, and all
 * groups that name the user are supplementary ones (moby's rule; build.md 1.3).
 *
 * account_resolve() is pure: the files' text may be anything. It reads each line once and keeps nothing.
 */
#ifndef SERVICE_BUILD_RUN_WORKER_ACCOUNT_H
#define SERVICE_BUILD_RUN_WORKER_ACCOUNT_H

#include "proto/runtime/mem.h"

enum {
	ACCOUNT_FILE_MAX = 16 << 20, /* bytes of passwd or group */
	ACCOUNT_GROUPS_MAX = 1024,
	ACCOUNT_HOME_MAX = 1024,
	ACCOUNT_NAME_MAX = 256,
};

struct account {
	uint32_t uid, gid;
	uint32_t groups[ACCOUNT_GROUPS_MAX]; /* supplementary, in the file's order, each once */
	size_t n_groups;
	char home[ACCOUNT_HOME_MAX]; /* "/" when nothing says another */
};

/* E_INVALID with the words that docker has for it: no such user or group, a number out of
 * range; E_LIMIT: more groups than the kernel could take. */
int account_resolve(const char *user, struct bytes passwd, struct bytes group, struct account *ret_account,
		    struct err *err);

/* The same with the files of a root. */
int account_of_root(int root, const char *user, struct account *ret_account, struct err *err);

#endif

/*
 * RUN --mount: its options, "type=cache,target=/x,…" (build.md 1.3).
 *
 * A mount is read twice: when the file is parsed only what cannot hold a variable is looked
 * at (`from`), when its RUN is reached the values are expanded and all is checked.
 *
 * Pure; texts are in the arena. E_INVALID in docker's words: "unexpected key 'x' in
 * 'x=y' (did you mean z?)", "unsupported mount type \"x\"", ...
 */
#ifndef SERVICE_BUILD_MOUNT_H
#define SERVICE_BUILD_MOUNT_H

#include "service/build/expand.h"

enum mount_type { MOUNT_BIND, MOUNT_CACHE, MOUNT_SECRET, MOUNT_SSH, MOUNT_TMPFS };
enum mount_sharing { SHARING_UNSET, SHARING_LOCKED, SHARING_PRIVATE, SHARING_SHARED };

struct mount {
	enum mount_type type;
	const char *from, *source, *target, *id; /* "" when not given */
	const char *env;			 /* NULL when not given; "" asks for the usual name */
	enum mount_sharing sharing;
	bool read_only, required;
	int64_t size; /* bytes; 0: no limit of its own */
	bool has_mode, has_uid, has_gid;
	uint32_t mode, uid, gid;
};

/* Only `from` and the grammar. */
int mount_scan(const char *text, struct arena *a, struct mount *ret_mount, struct err *err);

typedef int (*word_expander)(void *arg, const char *word, const char **ret_value, struct err *err);

/* All of it; each value goes through `expander`. */
int mount_parse(const char *text, word_expander expander, void *arg, struct arena *a, struct mount *ret_mount,
		struct err *err);

const char *mount_type_name(enum mount_type type);

#endif

/*
 * Directories that RUN --mount=type=cache keeps between builds (build.md 1.3).
 *
 *   ROOT/builds/caches/HEX/N/    HEX: sha256 of the id, mode, owner; N: one of those that
 *                                sharing=private has made
 *
 * Nothing of them is ever in a layer or a key. What is in them is whatever the steps left; a crash
 * loses nothing of it. Records (keys.h) tell ids and times.
 *
 * Threads: any.
 */
#ifndef STORE_CACHE_CACHE_MOUNTS_H
#define STORE_CACHE_CACHE_MOUNTS_H

#include "proto/runtime/cancel.h"
#include "store/store.h"
#include "store/types/digest.h"

struct cache_mounts;
struct cache_mount;

enum cache_sharing { CACHE_SHARED, CACHE_PRIVATE, CACHE_LOCKED };

int cache_mounts_new(struct store *s, struct cache_mounts **ret_mounts, struct err *err);
void cache_mounts_free(struct cache_mounts *c); /* NULL is fine; none is in use */

struct cache_mount_request {
	const char *id;
	enum cache_sharing sharing;
	uint32_t mode, uid, gid; /* of a new one */
	struct digest seed;	 /* of what a new one begins with; unset: it is empty. Part of what it is. */
};

/* What it is, whatever is in it: of the id, mode, owner and seed. */
struct digest cache_mount_key(const struct cache_mount_request *request);

/* Waits its turn (CACHE_LOCKED), with the token. *ret_is_new: it is empty, and whoever asked
 * fills it before others get it (cache_mount_ready()). */
int cache_mount_enter(struct cache_mounts *c, const struct cache_mount_request *request, struct cancel *cancel,
		      struct cache_mount **ret_mount, bool *ret_is_new, struct err *err);
/* Of a new one; without it the directory is emptied when it is left. Needed only with a seed. */
void cache_mount_ready(struct cache_mount *m);
int cache_mount_directory(const struct cache_mount *m); /* O_PATH | O_DIRECTORY; the mount's */
void cache_mount_leave(struct cache_mount *m);		/* NULL is fine */

struct cache_mount_usage {
	struct digest key;
	const char *id; /* borrowed until the visit ends */
	int64_t bytes;	/* by a walk */
	int64_t created_ns, last_used_ns, use_count;
	bool in_use;
};

typedef bool cache_mount_visit(void *arg, const struct cache_mount_usage *usage); /* false stops */

/* In the order of their keys, those behind `after`; NULL: all. */
int cache_mounts_each(struct cache_mounts *c, const struct digest *after, struct cancel *cancel,
		      cache_mount_visit *visit, void *arg, struct err *err);

struct cache_mount_limits {
	int64_t unused_since; /* as step_cache.h; 0: all that are not in use */
	bool dry_run;
	cache_mount_visit *visit;
	void *arg;
	struct cancel *cancel;
};

int cache_mounts_prune(struct cache_mounts *c, const struct cache_mount_limits *limits, int64_t *ret_freed,
		       struct err *err);

#endif

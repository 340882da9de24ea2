/*
 * What the files mounts*.c share.
 */
#ifndef SERVICE_MOUNT_MOUNTS_INTERNAL_H
#define SERVICE_MOUNT_MOUNTS_INTERNAL_H

#include <limits.h>
#include <pthread.h>

#include "service/mount/layer_cache.h"
#include "service/mount/mounts.h"
#include "service/mount/target.h"

/* A directory that one call works on. */
struct claim {
	const char *target; /* canonical */
	struct claim *next;
};

struct mounts {
	struct store *store;
	int directory; /* ROOT/mounts; -1: read-only */
	pthread_mutex_t mu;
	struct claim *claims; /* guarded by mu */
	pthread_mutex_t probing;
	bool probed; /* guarded by probing, like the next until it is true */
	struct probe probe;
	struct layer_cache layers;
};

/* False when another call has it. */
bool claim_begin(struct mounts *m, struct claim *c);
void claim_end(struct mounts *m, struct claim *c);

enum { MOUNT_SOURCE_MAX = 8 + MOUNT_ID_TEXT_MAX };
char *mount_source(const struct mount_id *id, char out[MOUNT_SOURCE_MAX]); /* "imaged:ID" */

/* Makes the mount of an intent and moves it to `target`. */
int mounts_make(struct mounts *m, const struct mount_id *id, const struct mount_request *request,
		Imaged__V1__MountWay way, const struct target *target, struct cancel *cancel, struct err *err);

/* Where it stands: the canonical path of the directory, "" when it is nowhere. *ret_covered:
 * something else is mounted over it. */
int mounts_find(const struct mount_entry *e, char ret_point[PATH_MAX], bool *ret_covered, struct err *err);

/* Of many at once; in the arena. */
int mounts_standing(const struct mount_entry *entries, size_t n, struct arena *arena, bool **ret_stands,
		    struct err *err);

/* Takes down all that is left of it in the kernel and below ROOT/mounts, and its record. */
int mounts_drop(struct mounts *m, const struct mount_entry *e, int64_t *ret_freed, struct err *err);

/* ROOT/mounts/ID; free() it. NULL: no memory. */
char *mounts_path(struct mounts *m, const struct mount_id *id);

/* Removes ROOT/mounts/ID with what was written; adds its bytes. */
int mounts_remove_directory(struct mounts *m, const struct mount_id *id, int64_t *freed, struct err *err);

#endif

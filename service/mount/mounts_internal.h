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

/* Of the ways to mount. What somebody reads does not change any more: each struct probe is
 * written once, under the lock. */
struct finding_out {
	bool done, failed;
	struct probe probe, failure;
};

/* A way to mount, and what goes with it (probe.h). */
struct choice {
	Imaged__V1__MountWay way;
	bool by_name, fuse_overlay;
};

struct mounts {
	struct store *store;
	int directory; /* ROOT/mounts; -1: read-only */
	pthread_mutex_t mu;
	struct claim *claims; /* guarded by mu */
	pthread_mutex_t probing;
	struct finding_out first, all; /* guarded by probing: the best way, and all */
	struct layer_cache layers;
};

/* False when another call has it. */
bool claim_begin(struct mounts *m, struct claim *c);
void claim_end(struct mounts *m, struct claim *c);

#define MOUNT_SOURCE_PREFIX "imaged:"
enum { MOUNT_SOURCE_MAX = 8 + MOUNT_ID_TEXT_MAX };
char *mount_source(const struct mount_id *id, char out[MOUNT_SOURCE_MAX]); /* "imaged:ID" */

/* Makes the mount of an intent and moves it to `target`. */
int mounts_make(struct mounts *m, const struct mount_id *id, const struct mount_request *request,
		const struct choice *choice, const struct target *target, struct cancel *cancel, struct err *err);

/* Where a mount stands. */
struct mount_place {
	char point[PATH_MAX]; /* its own directory, else the last one that it was bound to; "": nowhere */
	uint64_t number;      /* mountinfo's */
	bool covered;	      /* something else is mounted over it */
};

int mounts_find(const struct mount_entry *e, struct mount_place *ret_place, struct err *err);

/* The same of n mounts at once, without where. */
int mounts_which_stand(const struct mount_entry *entries, size_t n, bool *ret_stand, struct err *err);

/* Unmounts it wherever it stands, its own directory first. E_CONFLICT: in use there, and not
 * `lazy`, or something else is mounted over it. */
int mounts_take_down(const struct mount_entry *e, bool lazy, struct err *err);

/* Takes down all that is left of it in the kernel and below ROOT/mounts, and its record. */
int mounts_drop(struct mounts *m, const struct mount_entry *e, int64_t *ret_freed, struct err *err);

/* ROOT/mounts/ID; free() it. NULL: no memory. */
char *mounts_path(struct mounts *m, const struct mount_id *id);

/* Removes ROOT/mounts/ID with what was written; adds its bytes. */
int mounts_remove_directory(struct mounts *m, const struct mount_id *id, int64_t *freed, struct err *err);

#endif

/*
 * Images mounted at directories of this machine.
 *
 * A mount is written down as an intent, made, and committed (store/mounts/mount_record.h);
 * moving it to its directory is the last step before the commit. It lives on when the
 * service ends. What a crash leaves is undone at the next start, and a mount that somebody
 * else undid is forgotten: mounts_tidy().
 *
 *   ROOT/mounts/ID/upper, work     what is written to a mount, and gone with it
 *
 * Mounts of layers are nowhere to be seen: only the overlay over them has a directory.
 *
 * Ownership: answers lie in the caller's arena. Threads: any; one at a time for one
 * directory, a second one gets E_CONFLICT.
 */
#ifndef SERVICE_MOUNT_MOUNTS_H
#define SERVICE_MOUNT_MOUNTS_H

#include "imaged/v1/mount.pb-c.h"
#include "proto/runtime/cancel.h"
#include "service/mount/probe.h"
#include "store/mounts/mount_record.h"
#include "store/types/layer_facts.h"

struct mounts;

/* What the last run left is for mounts_tidy(). On a read-only store none is made. */
int mounts_new(struct store *s, struct mounts **ret_mounts, struct err *err);
/* The mounts stay. */
void mounts_free(struct mounts *m);

/* A read-only descriptor of a layer's image, the caller's. */
typedef int mount_open_layer(void *arg, const struct digest *diff_id, struct cancel *cancel, int *ret_fd,
			     struct layer_image_facts *ret_facts, struct err *err);

struct mount_request {
	const char *image; /* as the caller named it */
	struct bytes target;
	bool read_write, allow_devices, allow_setuid;
	Imaged__V1__MountWay way;
	struct digest manifest, config;
	const struct digest *blobs; /* all of the image's content */
	size_t n_blobs;
	const struct digest *diff_ids; /* lowest first */
	size_t n_layers;
	mount_open_layer *open_layer;
	void *arg;
};

/* E_INVALID, E_NOT_FOUND, E_DENIED: the directory (target.h); E_EXISTS: an image is mounted
 * there; E_CONFLICT: another call is about to; E_LIMIT: too many layers or mounts;
 * E_CANNOT_MOUNT: not on this machine, and why; E_NOT_FOUND: content is missing; what
 * open_layer() fails with. */
int mounts_mount(struct mounts *m, const struct mount_request *request, struct cancel *cancel, struct arena *arena,
		 struct mount_entry *ret_entry, struct err *err);

/* `which`: directory or ID. *ret_freed: bytes of the store. E_NOT_FOUND: none of ours;
 * E_CONFLICT: files of it are open and not `lazy`, or something is mounted over it. */
int mounts_unmount(struct mounts *m, struct bytes which, bool lazy, struct arena *arena, struct mount_entry *ret_entry,
		   int64_t *ret_freed, struct err *err);

/* Those that stand, oldest first. */
int mounts_list(struct mounts *m, struct arena *arena, struct mount_entry **ret_entries, size_t *ret_n,
		struct err *err);

/* Undoes intents, and forgets what is not mounted any more. Cheap when nothing is on record. */
int mounts_tidy(struct mounts *m, struct err *err);

/* Found out at the first call. */
const struct probe *mounts_probe(struct mounts *m);

#endif

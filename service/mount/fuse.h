/*
 * Mounts that other programs serve: a layer by erofsfuse, an overlay, where the kernel's may
 * not be used, by fuse-overlayfs.
 *
 * A layer's mount has a directory only until an overlay holds it; then it is detached, and
 * goes, with its process, with the overlay.
 */
#ifndef SERVICE_MOUNT_FUSE_H
#define SERVICE_MOUNT_FUSE_H

#include "proto/runtime/mem.h"

/* Mounts a layer's image at a directory of ours, `path`. E_CANNOT_MOUNT. */
int fuse_mount_layer(int image, const char *path, struct err *err);

struct fuse_overlay {
	const char *const *layers; /* directories, the topmost first; at least one */
	size_t n_layers;
	const char *upper, *work; /* NULL: read-only */
	bool devices, setuid;
	const char *target;
};

int fuse_mount_overlay(const struct fuse_overlay *o, struct err *err);

/* By umount2(2), or, where that is not allowed, by fusermount3. E_CONFLICT: it is in use. */
int unmount_at(const char *path, bool lazy, struct err *err);

#endif

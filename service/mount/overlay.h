/*
 * One root file system over the layers of an image.
 *
 * The mount's source is "imaged:ID", so that mountinfo(5) tells whose it is. Nothing of
 * what layers say in xattrs of overlayfs is followed, but whiteouts and opaque directories.
 */
#ifndef SERVICE_MOUNT_OVERLAY_H
#define SERVICE_MOUNT_OVERLAY_H

#include "proto/runtime/mem.h"

enum { OVERLAY_LAYERS_MAX = 500 }; /* of the kernel */

struct overlay {
	const char *source;
	const int *layers; /* descriptors of directories, the topmost first; at least two */
	size_t n_layers;
	int upper, work; /* what is written; -1: read-only */
	bool devices, setuid;
};

/* A mount that is nowhere yet. E_DENIED, E_CANNOT_MOUNT. */
int overlay_make(const struct overlay *o, int *ret_mount, struct err *err);

#endif

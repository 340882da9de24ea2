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

/* A mount that is nowhere yet. E_DENIED, E_CANNOT_MOUNT. For kernels that take layers by
 * descriptors, and such as are nowhere (Linux 6.15). */
int overlay_make(const struct overlay *o, int *ret_mount, struct err *err);

/* For all others: layers have names in a directory, so short that 500 fit the 4 KiB that
 * mount(2) takes. */
struct overlay_named {
	const char *source;
	int directory;		  /* in which names are looked up */
	const char *names;	  /* ":" between, the topmost first; at least two */
	const char *upper, *work; /* names too; NULL: read-only */
	bool devices, setuid;
	int target; /* descriptor of the directory to mount at */
};

int overlay_mount_named(const struct overlay_named *o, struct err *err);

#endif

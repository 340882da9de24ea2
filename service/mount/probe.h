/*
 * How layers can be mounted on this machine, found out by doing it below the store's root:
 * that a kernel has a file system does not say that it may be used here, nor that an overlay
 * fits on top of what is stacked already.
 */
#ifndef SERVICE_MOUNT_PROBE_H
#define SERVICE_MOUNT_PROBE_H

#include "imaged/v1/mount.pb-c.h"
#include "proto/runtime/mem.h"

enum { PROBE_PROBLEM_MAX = 1024 };

struct probe {
	Imaged__V1__MountWay ways[3]; /* the best first */
	size_t n_ways;
	bool by_name;	   /* overlays take layers by names only (overlay.h) */
	bool fuse_overlay; /* over layers by erofsfuse: fuse-overlayfs, since the kernel's may not be used */
	char problem[PROBE_PROBLEM_MAX]; /* what is missing, when there is none; else "" */
};

/* `directory`: ROOT/mounts, and its path. */
void probe_ways(int directory, const char *path, struct probe *ret_probe);
bool probe_has(const struct probe *p, Imaged__V1__MountWay way);
/* "file", "loop", "fuse" */
const char *way_name(Imaged__V1__MountWay way);

#endif

/*
 * The upper directory of an overlay as an OCI layer, by the rules of build.md 2.4: what was
 * changed against the lower layers, in the order of names, the same bytes for the same tree.
 *
 *   - whiteouts for what is gone, one by one also where a directory is opaque
 *   - a directory before what is in it, also when only that changed
 *   - what was copied up and left as it was is left out; but not one of several hard links
 *   - security.capability and user.* of the xattrs, never overlay's
 *   - sockets are skipped
 *
 * Streams: memory is for the names of the directories on the way, and for hard links. The
 * trees must not change meanwhile. A call belongs to its thread.
 */
#ifndef SERVICE_BUILD_DIFF_CHANGES_H
#define SERVICE_BUILD_DIFF_CHANGES_H

#include "proto/runtime/mem.h"

enum {
	CHANGES_DEPTH_MAX = 1024,    /* directories within each other */
	CHANGES_NAMES_MAX = 1 << 30, /* bytes of memory for names, and for hard links */
};

struct changes {
	int upper; /* directories */
	int lower; /* what was there before, merged; -1: nothing */
	bool clamp;
	int64_t latest; /* clamp: no time in the layer is later, in seconds */
	int (*write)(void *arg, struct bytes piece, struct err *err);
	void *arg;
};

/* E_UNSUPPORTED: a name that layers cannot have, a directory that overlay has renamed; E_LIMIT; E_IO; what
 * `write` fails with. */
int changes_write(const struct changes *c, struct err *err);

#endif

/*
 * The kernel's ways to make a file system of a layer's image: of the file itself (Linux
 * 6.12, CONFIG_EROFS_FS_BACKED_BY_FILE, and no more than one file system stacked below),
 * or of a loop device over it, which goes with its last user.
 *
 * The mount is nowhere: it lives as long as the descriptor, or an overlay over it.
 */
#ifndef SERVICE_MOUNT_LAYER_WAY_H
#define SERVICE_MOUNT_LAYER_WAY_H

#include "proto/runtime/mem.h"

/* `image`: read-only descriptor, stays the caller's. E_DENIED, E_CANNOT_MOUNT. */
int layer_mount_file(int image, int *ret_mount, struct err *err);
int layer_mount_loop(int image, int *ret_mount, struct err *err);

#endif

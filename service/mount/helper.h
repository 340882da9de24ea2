/*
 * Programs of other packages that a mount needs where the kernel does not do it:
 * erofsfuse, fuse-overlayfs, fusermount3. Those that serve a file system go into the
 * background by themselves, in a session of their own, and outlive this process.
 */
#ifndef SERVICE_MOUNT_HELPER_H
#define SERVICE_MOUNT_HELPER_H

#include "proto/runtime/mem.h"

enum { HELPER_GIFT_FD = 3 }; /* where the program finds `gift` */

/* argv[0] is looked for in PATH; argv ends with NULL. Waits until the program has ended or
 * gone into the background. `gift`: a descriptor that it gets; -1: none. E_CANNOT_MOUNT: it
 * is not there, or failed, with what it said on its standard error. */
int helper_run(const char *const *argv, int gift, struct err *err);

#endif

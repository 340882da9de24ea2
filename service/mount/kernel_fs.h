/*
 * The kernel's interface to make a mount that is nowhere yet (fsopen(2), Linux 5.2):
 * configure, create, and get a descriptor of the mount, which goes with its last
 * descriptor unless it is moved to a directory.
 */
#ifndef SERVICE_MOUNT_KERNEL_FS_H
#define SERVICE_MOUNT_KERNEL_FS_H

#include <sys/mount.h>

#include "proto/runtime/mem.h"

/* E_DENIED: not allowed to mount; E_CANNOT_MOUNT: the kernel has no such file system. */
int kernel_fs_open(const char *type, int *ret_fs, struct err *err);
/* `what` for the message. E_CANNOT_MOUNT with what the kernel said. */
int kernel_fs_text(int fs, const char *key, const char *value, struct err *err);
int kernel_fs_flag(int fs, const char *key, struct err *err);
int kernel_fs_fd(int fs, const char *key, int fd, struct err *err);
/* Creates it; `attributes`: MOUNT_ATTR_…. */
int kernel_fs_mount(int fs, unsigned attributes, int *ret_mount, struct err *err);

/* "/proc/self/fd/N" */
enum { FD_PATH_MAX = 32 };
char *fd_path(int fd, char out[FD_PATH_MAX]);

#endif

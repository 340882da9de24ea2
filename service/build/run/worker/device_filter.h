/*
 * The devices that a step may open: those that an OCI runtime makes in /dev. Any node may be
 * made, as CAP_MKNOD is among docker's capabilities, but not opened.
 *
 * A BPF program on its cgroup; it needs CAP_SYS_ADMIN, and goes when the cgroup goes.
 */
#ifndef SERVICE_BUILD_RUN_WORKER_DEVICE_FILTER_H
#define SERVICE_BUILD_RUN_WORKER_DEVICE_FILTER_H

#include "proto/runtime/err.h"

/* E_UNSUPPORTED: the kernel has it not. */
int device_filter_attach(int cgroup_dir, struct err *err);

#endif

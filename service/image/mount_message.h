/*
 * Mounts as messages of the API.
 */
#ifndef SERVICE_IMAGE_MOUNT_MESSAGE_H
#define SERVICE_IMAGE_MOUNT_MESSAGE_H

#include "service/image/convert.h"
#include "service/mount/mounts.h"

/* In the arena; the entry's record stays in use. NULL: no memory. */
Imaged__V1__Mount *mount_message(struct arena *a, const struct mount_entry *e);

/* Calls that name paths of this machine are for who is on it: E_DENIED over TCP. */
int require_unix_socket(struct rpc_call *call, struct err *err);

#endif

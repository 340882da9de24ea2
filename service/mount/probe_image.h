/*
 * The smallest image there is, of an empty directory: what ways of mounting are tried with.
 */
#ifndef SERVICE_MOUNT_PROBE_IMAGE_H
#define SERVICE_MOUNT_PROBE_IMAGE_H

#include "proto/runtime/mem.h"

/* Writes it to an empty file. */
int probe_image_write(int fd, struct err *err);

#endif

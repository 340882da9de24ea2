/*
 * A layer's tar with its times clamped: those later than a given second become it, all else stays,
 * byte for byte. For tars of our own writers (store/archive/tar_head.h): ustar, PAX records, GNU's
 * long names.
 *
 * Memory: a buffer, one entry's records. E_CORRUPT: it is no such tar.
 */
#ifndef SERVICE_BUILD_RESULT_TAR_CLAMP_H
#define SERVICE_BUILD_RESULT_TAR_CLAMP_H

#include "proto/runtime/cancel.h"
#include "proto/runtime/mem.h"

typedef int tar_clamp_write(void *arg, const void *data, size_t len, struct err *err);

/* All of `fd`, from its beginning, which stays the caller's. */
int tar_clamp(int fd, int64_t seconds, tar_clamp_write *write, void *arg, struct cancel *cancel, struct err *err);

#endif

/*
 * How many bytes a transfer is said to have had: as BuildKit tells it, whose count includes the
 * messages that its files come in. So displays of a build show the same numbers; what really goes
 * over the wire is of another protocol.
 *
 * Pure. The sizes were measured (docker-cli.md 18.3 and its recordings).
 */
#ifndef SERVICE_BUILD_SESSION_TRANSFER_SIZE_H
#define SERVICE_BUILD_SESSION_TRANSFER_SIZE_H

#include <stddef.h>
#include <stdint.h>

enum { TRANSFER_NOTHING = 2 };

/* A file of this name that is told of, and not sent. */
int64_t transfer_size_entry(size_t path_len);
/* The same, and sent. */
int64_t transfer_size_file(size_t path_len, int64_t size);

#endif

/*
 * Whether a file is a tar, plain or compressed, by its content: what ADD unpacks, and what is a context and no
 * Dockerfile.
 *
 * Any thread.
 */
#ifndef SERVICE_BUILD_CONTEXT_ARCHIVE_KIND_H
#define SERVICE_BUILD_CONTEXT_ARCHIVE_KIND_H

#include "service/build/context/context_archive.h"

enum { ARCHIVE_BLOCK = 512 };

/* By its checksum. */
bool archive_is_tar_header(const uint8_t block[ARCHIVE_BLOCK]);

/* Reads as much as it takes, the compressed one through the worker. A tar that has no entry is none, and
 * neither is what cannot be inflated. */
int archive_is_tar(const char *worker_program, const struct archive_reader *from, struct cancel *cancel, bool *ret_is,
		   struct err *err);

#endif

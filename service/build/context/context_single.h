/*
 * A context of one file, written piece by piece: a here-document, what a URL has.
 *
 * One thread. E_DISK_FULL, E_IO.
 */
#ifndef SERVICE_BUILD_CONTEXT_CONTEXT_SINGLE_H
#define SERVICE_BUILD_CONTEXT_CONTEXT_SINGLE_H

#include "service/build/context/build_context.h"

struct context_single;

int context_single_begin(struct store *s, struct context_single **ret_single, struct err *err);
int context_single_add(struct context_single *c, struct bytes data, struct err *err);
/* `path`: of one part or several, whose directories are made. The file's sha256 is in *ret_sha256. The single is of
 * no more use but to be freed. */
int context_single_end(struct context_single *c, const char *path, uint32_t permissions, int64_t mtime_ns,
		       struct digest *ret_sha256, struct build_context **ret_context, struct err *err);
void context_single_free(struct context_single *c); /* NULL is fine */
void context_single_freep(struct context_single **c);

#endif

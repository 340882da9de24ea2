/* What the files of this folder share of a step. */
#ifndef SERVICE_BUILD_COPY_COPYING_H
#define SERVICE_BUILD_COPY_COPYING_H

#include "service/build/copy/select.h"

/* For the names that a step selects. */
enum { COPY_MEMORY_MAX = 256 * 1024 * 1024 };

/* Adds what one source names, waits for its bytes. */
int copy_select(const struct copy_job *j, size_t source, struct arena *a, struct copy_items *items, struct err *err);
/* What is at one path, without wildcards. */
int copy_select_path(const struct copy_files *files, const char *path, struct cancel *cancel, struct arena *a,
		     struct copy_item *ret_item, struct err *err);

#endif

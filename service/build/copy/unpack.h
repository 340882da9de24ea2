/*
 * Local archives of ADD: what is a tar by its content becomes a context, with the archive's owners, in place
 * of the file (build.md 1.3).
 */
#ifndef SERVICE_BUILD_COPY_UNPACK_H
#define SERVICE_BUILD_COPY_UNPACK_H

#include "service/build/copy/select.h"

struct unpacked {
	struct unpacked_archive *all; /* open as long as this is */
};

void unpacked_free(struct unpacked *u);

/* The item, or what it has when it is an archive that the step unpacks. */
int unpack_if_archive(struct unpacked *u, const struct copy_job *j, const struct copy_source *source,
		      struct copy_item *item, struct err *err);

#endif

/*
 * The records of a PAX extended header (POSIX.1-2001: "LENGTH KEY=VALUE\n"), as
 * far as they change how an archive is walked and counted.
 *
 * Works on bytes of the caller; keeps none of them.
 */
#ifndef SERVICE_LAYER_TAR_PAX_H
#define SERVICE_LAYER_TAR_PAX_H

#include <stdbool.h>

#include "proto/runtime/mem.h"

struct tar_pax {
	int64_t size;	   /* bytes that follow the next header; -1: not given */
	int64_t real_size; /* of a sparse file in one of GNU's PAX forms; -1: it is none */
	bool has_path;
	bool path_is_directory; /* the path ends with a slash */
};

/* What is wrong with the records, or NULL when *ret_pax was filled. A key that comes
 * twice counts with its last value, an empty value takes the record back. */
const char *tar_pax_read(struct bytes records, struct tar_pax *ret_pax);

#endif

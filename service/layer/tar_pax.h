/*
 * The records of a PAX extended header (POSIX.1-2001: "LENGTH KEY=VALUE\n"), as
 * far as they change how an archive is walked, counted and named.
 *
 * Works on bytes of the caller; path and link are borrowed from them.
 */
#ifndef SERVICE_LAYER_TAR_PAX_H
#define SERVICE_LAYER_TAR_PAX_H

#include <stdbool.h>

#include "proto/runtime/mem.h"

struct tar_pax {
	int64_t size;	   /* bytes that follow the next header; -1: not given */
	int64_t real_size; /* of a sparse file in one of GNU's PAX forms; -1: it is none */
	bool has_path;
	bool path_is_directory;	 /* the path ends with a slash */
	bool is_sparse;		 /* some key of GNU's sparse forms has a value, of a known version or not */
	struct bytes path, link; /* empty: not given */
};

/* One record; both are borrowed. A key is never empty. */
struct tar_pax_record {
	struct bytes key, value;
};

static inline bool tar_text_is(struct bytes b, const char *text)
{
	return b.len == strlen(text) && (!b.len || !memcmp(b.data, text, b.len));
}

/* Takes the next record off *rest, which is not empty; false when it is no sound one. */
bool tar_pax_next(struct bytes *rest, struct tar_pax_record *ret_record);

/* Decimal digits only, that fit. */
bool tar_pax_decimal(struct bytes text, int64_t *ret_value);

/* What is wrong with the records, or NULL when *ret_pax was filled. A key that comes
 * twice counts with its last value, an empty value takes the record back. */
const char *tar_pax_read(struct bytes records, struct tar_pax *ret_pax);

#endif

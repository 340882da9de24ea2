/* Paths of a root file system, as texts: nothing is looked up. Pure. */
#ifndef STORE_TYPES_PATH_H
#define STORE_TYPES_PATH_H

#include "store/types/text.h"

/* Go's path.Clean: without "//", "." and, where something is before it, ".."; "." for "".
 * A path that begins with '/' stays below it. False: memory is short. */
bool path_clean(struct bytes path, struct buf *out);

/* `path` in the directory `base`, or alone when it begins with '/'; begins with '/'. */
bool path_join(const char *base, const char *path, struct buf *out);

#endif

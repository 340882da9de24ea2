/*
 * The entries of a build context's list (proto/imaged/v1/build.proto, ContextEntry): their
 * order, what is sound, and the list's digest. The client makes lists, the service checks
 * them; this is the one place that knows the rules.
 *
 * Order: paths are compared byte by byte, with "/" before every other byte. So a list is a
 * walk of the tree in which each directory is followed by all that is below it: what is
 * below a path is one range, and a digest of a tree takes one pass.
 *
 * Pure values on hostile bytes; any thread. Failure: E_INVALID, with the path made
 * printable.
 */
#ifndef STORE_TYPES_CONTEXT_ENTRY_H
#define STORE_TYPES_CONTEXT_ENTRY_H

#include "store/types/digest.h"

enum {
	CONTEXT_PATH_MAX = 4095,
	CONTEXT_LINK_MAX = 4095,
	CONTEXT_NAME_MAX = 255,
	CONTEXT_XATTR_NAME_MAX = 255,
	CONTEXT_XATTRS_MAX = 64 * 1024, /* names and values of one file */
	CONTEXT_ID_MAX = 256,
	CONTEXT_SHOWN_MAX = 200,
};

struct context_xattr {
	struct bytes name, value;
};

/* Everything in it is borrowed. */
struct context_entry {
	struct bytes path;
	uint32_t mode;
	int64_t size, mtime_ns;
	uint64_t stamp;	 /* 0: none */
	uint64_t device; /* major << 32 | minor */
	struct bytes link, same_as;
	const struct context_xattr *xattrs;
	size_t n_xattrs;
};

/* <0, 0, >0, in the order above. */
int context_path_compare(struct bytes a, struct bytes b);
/* Whether `path` is below the directory; everything but the root itself, "", is below that. */
bool context_path_is_below(struct bytes directory, struct bytes path);
/* The directory of a path: "" for what is in the root. */
struct bytes context_path_parent(struct bytes path);
int context_path_check(struct bytes path, struct err *err);

/* The path for a message: printable ASCII, the rest as '?', cut to fit. */
char *context_path_show(struct bytes path, char out[CONTEXT_SHOWN_MAX]);

/* All that can be said of an entry without its list. */
int context_entry_check(const struct context_entry *e, struct err *err);

/* Sound names in order, not too much of them; for entries, and for files' bytes. */
int context_xattrs_check(const struct context_xattr *xattrs, size_t n, struct bytes path, struct err *err);

/* Adds the entry to its list's digest. */
void context_entry_hash(struct hasher *h, const struct context_entry *e);

#endif

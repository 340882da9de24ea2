/*
 * The files that a step takes its own from, whatever they are: entries of a build's context, or
 * of a tree of layers. One file, where it is, and what it has.
 *
 * Paths are relative to the source's root; "" is that itself. One thread.
 */
#ifndef SERVICE_BUILD_COPY_SOURCE_H
#define SERVICE_BUILD_COPY_SOURCE_H

#include "service/build/copy/copy.h"

enum { SOURCE_PATH_MAX = TREE_PATH_MAX };

struct source_entry {
	struct bytes path; /* relative to where the walk began; borrowed */
	uint32_t mode;	   /* with the type */
	uint32_t uid, gid;
	uint64_t size;
	int64_t mtime; /* whole seconds */
	uint32_t major, minor;
	bool has_names; /* perhaps several: source_number() tells which file it is */
	bool is_made;	/* a directory that an archive has no entry of */

	/* where it is */
	const struct copy_files *files;
	uint32_t index;		/* of a context; CONTEXT_NO_ENTRY: its root */
	struct tree_entry tree; /* of a tree; its path is of no use */
};

/* What a path leads to, all links followed: its path without links into `out` after what is there.
 * E_NOT_FOUND with BuildKit's words. */
int source_resolve(const struct copy_files *f, struct bytes path, struct buf *out, uint32_t *ret_mode, struct err *err);

/* What is at a path without links; the entry's path is "". */
int source_lookup(const struct copy_files *f, struct bytes path, struct source_entry *ret_entry, struct err *err);
void source_of_context(const struct copy_files *f, uint32_t index, struct source_entry *ret_entry);
void source_of_tree(const struct copy_files *f, const struct tree_entry *t, struct source_entry *ret_entry);

/* Bytes of a regular file, all of them in it; of a context those of a file that was needed before. */
int source_read(const struct source_entry *e, uint64_t offset, uint8_t *data, size_t len, struct err *err);
/* Into `out`, which is emptied: of a symbolic link. */
int source_target(const struct source_entry *e, struct buf *out, struct err *err);

/* An extended attribute that layers keep: security.capability, user.* (build.md 2.4). */
struct source_xattr {
	char *name; /* in the arena */
	struct bytes value;
};

/* Sorted by name, in the arena. */
int source_xattrs(const struct source_entry *e, struct arena *a, struct source_xattr **ret_xattrs, size_t *ret_n,
		  struct err *err);

/* The same for names of the same file in the same source: two numbers. */
void source_number(const struct source_entry *e, uint64_t number[2]);

/* "/x": not found, and by which line of .dockerignore. */
int source_fail_missing(const struct copy_files *f, struct bytes path, struct err *err);

#endif

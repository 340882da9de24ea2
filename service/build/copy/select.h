/*
 * Which files the sources of a step name (build.md 1.3): paths, wildcards, links that are
 * followed, --parents, --exclude.
 *
 * In the arena. E_NOT_FOUND: a source without wildcards that is not there; E_INVALID; E_LIMIT.
 */
#ifndef SERVICE_BUILD_COPY_SELECT_H
#define SERVICE_BUILD_COPY_SELECT_H

#include "service/build/copy/stream.h"

/* What wildcards may match: each takes about a kilobyte, a directory of a tree that is walked some more. */
enum { COPY_ITEMS_MAX = 128 * 1024, COPY_WALKS_MAX = 16 * 1024 };

/* A file, or a directory of which the contents are taken. */
struct copy_item {
	const struct copy_files *files;
	struct bytes path; /* without links */
	struct bytes name; /* the last part as the source names it */
	uint32_t mode;
	const struct stream_filter *filter; /* NULL: all */
	const char *required;		    /* with --parents: what must be there; NULL */
	bool is_archive;		    /* unpacked: what it has takes the place of what is there */
};

struct copy_items {
	struct copy_item *all;
	size_t n, room;
};

/* Adds those of one source. A context's list must be here. */
int select_source(const struct copy_step *step, const struct copy_source *source, const struct copy_files *files,
		  struct arena *a, struct copy_items *items, struct err *err);

/* Adds one as it is. */
int copy_items_add(struct copy_items *items, const struct copy_item *item, struct arena *a, struct err *err);

/* Waits for the bytes of all regular files that items take of their context, which is one for all of them. */
int select_need(const struct copy_item *items, size_t n, struct cancel *cancel, struct err *err);

#endif

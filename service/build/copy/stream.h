/*
 * The entries of what a step takes, one after another: a file, or a directory and all below it, in the
 * order of a list (store/types/context_entry.h), which is a tar's too; less what patterns leave out.
 *
 * Patterns are compared with paths below the beginning. A directory that is left out while
 * something below it is taken comes in front of that, marked.
 *
 * One thread; streams of the same tree are used one at a time.
 */
#ifndef SERVICE_BUILD_COPY_STREAM_H
#define SERVICE_BUILD_COPY_STREAM_H

#include "service/build/copy/source.h"

struct stream;

/* Both may be NULL, and are borrowed. `included`: what is left is what its exceptions match
 * ("**", then "!pattern"), so that directories without any are not looked at. */
struct stream_filter {
	const struct ignore *included, *excluded;
};

struct stream_entry {
	struct source_entry e;
	bool is_way; /* only for what is below it */
};

/* `path`: without links. The first entry is what is there, with the path "". */
int stream_open(const struct copy_files *f, struct bytes path, const struct stream_filter *filter,
		struct stream **ret_stream, struct err *err);
void stream_close(struct stream *s); /* NULL is fine */
void stream_closep(struct stream **s);

/* Borrowed until the next call; NULL at the end. */
int stream_next(struct stream *s, const struct stream_entry **ret_entry, struct err *err);
/* Entries that `included` let through so far. */
uint64_t stream_included(const struct stream *s);

#endif

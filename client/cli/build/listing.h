/*
 * The files of a directory that is a build's context: what the service is told of them, and
 * their bytes when it asks.
 *
 * The walk never leaves the directory: no link is followed, and each step goes by the
 * descriptor of the directory that it is in. Left out are sockets, and what .dockerignore
 * excludes; a directory that is excluded and holds an exception is there. Hard links are told
 * as such. Files of others' making may come and go meanwhile: what goes is not listed.
 *
 * One thread; afterwards any may read. Failure: E_IO in Go's words, with the path as the user
 * would write it; E_LIMIT; E_NO_MEMORY.
 */
#ifndef CLIENT_CLI_BUILD_LISTING_H
#define CLIENT_CLI_BUILD_LISTING_H

#include "proto/runtime/arena.h"
#include "store/types/context_entry.h"
#include "store/types/ignore.h"

struct listing {
	char *root; /* as the user wrote it */
	int fd;
	struct context_entry *entries; /* in the order of a list */
	size_t n, capacity;
	struct digest digest;
	struct arena memory;
};

/* clang-format off */
#define LISTING_INIT { .fd = -1 }
/* clang-format on */

/* `ignore`: NULL for none; only used meanwhile. */
int listing_make(const char *root, const struct ignore *ignore, struct listing *ret_listing, struct err *err);
void listing_free(struct listing *l); /* also the cleanup function; fine on LISTING_INIT */

/* A regular file of the list, opened for reading, and the stamp that it has now: another one
 * than the list's means another file. */
int listing_open(const struct listing *l, size_t index, int *ret_fd, uint64_t *ret_stamp, struct err *err);

struct statx;
/* Changes when the file may have; never 0. */
uint64_t listing_stamp(const struct statx *st);
/* Whether the file may change once more without its stamp showing it, being so new that its
 * times are those of now. */
bool listing_is_unsettled(const struct statx *st);

/* The extended attributes that are sent, by name, in the arena. Of a file system that knows
 * none: none. */
int listing_xattrs(int fd, struct arena *a, struct context_xattr **ret_xattrs, size_t *ret_n, struct err *err);

/* "ROOT/PATH: " and why, as fail_file(). */
int listing_fail(const struct listing *l, const char *verb, struct bytes path, struct err *err);

#endif

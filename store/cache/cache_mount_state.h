/*
 * Inside of the cache mounts: for the files of this folder.
 */
#ifndef STORE_CACHE_CACHE_MOUNT_STATE_H
#define STORE_CACHE_CACHE_MOUNT_STATE_H

#include "proto/runtime/hash.h"
#include "store/cache/cache_dir.h"
#include "store/cache/cache_mounts.h"
#include "store/internal.h"
#include "store/record.h"

typedef Imaged__Store__V1__CacheMountRecord cache_mount_record;

enum { CACHE_COPIES_MAX = 1000 }; /* of one, that sharing=private makes */

/* One of the directories of a cache. */
struct cache_copy {
	unsigned number;
	unsigned users;
	bool shared; /* its users are of sharing=shared */
	bool filled; /* it holds what a new one begins with */
};

/* All that has the same key. */
struct cache_group {
	struct cache_mounts *mounts;
	struct digest key;
	char hex[DIGEST_TEXT_MAX];
	unsigned refs;	       /* under mounts->mu */
	bool leaving;	       /* the same; it is being removed */
	pthread_mutex_t mu;    /* guards the rest, and is held while directories come and go */
	pthread_cond_t left;   /* a user has, or one is filled */
	bool loaded, recorded; /* `recorded`: it has a record */
	bool has_seed;
	struct cache_copy *copies;
	size_t n_copies;
	int64_t written_ns, last_used_ns, uses; /* `uses` are not in the record yet */
	UT_hash_handle hh;
};

struct cache_mount {
	struct cache_group *group;
	unsigned number;
	int fd;
};

struct cache_mounts {
	struct store *store;
	pthread_mutex_t mu;
	pthread_cond_t left;
	struct cache_group *groups; /* those in use, or with uses to write */
};

/* Referenced. NULL: no memory. Waits while it is being removed. */
struct cache_group *cache_group_enter(struct cache_mounts *c, const struct digest *key);
void cache_group_leave(struct cache_group *g);
/* False: somebody is in it. Else nobody enters until it is left. */
bool cache_group_seize(struct cache_mounts *c, const struct digest *key, struct cache_group **ret_group);
bool cache_group_is_used(struct cache_mounts *c, const struct digest *key);

/* Reads its directories and its record, if there is one. Under g->mu. */
int cache_group_load(struct cache_group *g, struct err *err);
/* The directory of another copy, of this owner and mode. Under g->mu. */
int cache_copy_make(struct cache_group *g, const struct cache_mount_request *request, struct cache_copy **ret_copy,
		    struct err *err);
int cache_copy_open(struct cache_group *g, unsigned number, int flags, int *ret_fd, struct err *err);

int cache_record_get(struct store *s, const struct digest *key, struct arena *arena, cache_mount_record **ret_record,
		     uint64_t *ret_revision, struct err *err);
/* Makes it if there is none. Under g->mu. */
int cache_record_make(struct cache_group *g, const struct cache_mount_request *request, struct err *err);
/* Uses and which copies are filled, into the record. Under g->mu. */
int cache_record_update(struct cache_group *g, struct err *err);

/* Into the records, of those that nobody is in. */
void cache_mounts_write_uses(struct cache_mounts *c);

#endif

/*
 * Mounts of layers that overlays of ours stand on, kept so that the next mount of a layer
 * takes the same: its pages are in memory once, however many images and mounts have it.
 *
 * A layer stays as long as a mount of this run uses it; after a restart nothing is kept,
 * and what is mounted then has mounts of its own. Threads: any.
 */
#ifndef SERVICE_MOUNT_LAYER_CACHE_H
#define SERVICE_MOUNT_LAYER_CACHE_H

#include <pthread.h>

#include "imaged/v1/mount.pb-c.h"
#include "store/meta/keys.h"

enum { LAYER_CACHE_MAX = 1024 }; /* descriptors; what comes after is not shared */

struct cached_layer;

struct layer_cache {
	pthread_mutex_t mu;
	struct cached_layer *first; /* guarded by mu, like n */
	size_t n;
};

struct layer_key {
	struct digest diff_id;
	Imaged__V1__MountWay way;
};

void layer_cache_init(struct layer_cache *c);
void layer_cache_free(struct layer_cache *c);

/* A descriptor of its own for the caller, and `user` uses it from now on; -1: it is not
 * there. */
int layer_cache_get(struct layer_cache *c, const struct layer_key *key, const struct mount_id *user, bool *ret_opaque);
/* Keeps a copy of the descriptor for `user` and others, or not: nothing depends on it. */
void layer_cache_put(struct layer_cache *c, const struct layer_key *key, const struct mount_id *user, int mount,
		     bool opaque);
/* Drops what nobody else uses. */
void layer_cache_release(struct layer_cache *c, const struct mount_id *user);

#endif

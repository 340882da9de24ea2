/*
 * Puts what steps made into the cache, beside the steps that follow, as many at a time as
 * have come together. Its thread starts with the first.
 */
#ifndef SERVICE_BUILD_SOLVE_COMMIT_H
#define SERVICE_BUILD_SOLVE_COMMIT_H

#include "service/build/solve/flight.h"

struct committer;

int committer_new(struct step_cache *cache, struct committer **ret_committer, struct err *err);
/* Waits until all is in the cache, or is not; frees. */
int committer_close(struct committer *c, struct err *err);

struct commit_item {
	struct digest keys[STEP_KEYS_MAX];
	size_t n_keys;
	struct build_layer *layer; /* referenced by this, like `flight` */
	struct flight *flight;	   /* is told; NULL: another key for a result that is there */
	char *description;	   /* becomes the committer's, like `note` */
	struct digest note_key;
	struct bytes note; /* on the heap; NULL: none */
};

void committer_add(struct committer *c, const struct commit_item *item);

#endif

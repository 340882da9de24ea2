/*
 * Leases: what keeps content alive while no image names it yet. Every operation
 * that brings content in, or relies on content that is there, holds one.
 *
 * The life of a lease:
 *   - lease_create() before the first claim or commit; its owner is this run of the store
 *     (store_open() draws a random number). It is *live*: nothing ignores it, and it does
 *     not expire, whatever the clock does, as long as the run lasts.
 *   - image_publish() ends it with the transaction that makes the image take over;
 *     lease_release() ends it when the operation was refused for good.
 *   - lease_abandon() clears the owner when the operation was interrupted; a process that
 *     dies leaves it with an owner that no run has any more. Now it is *dead*.
 *   - A dead lease keeps its content from the collector (gc_run) until it expires, so that
 *     the next pull finds what was committed. Unfinished ingests need no lease for that.
 *   - Whoever removes an image ignores it: the space is wanted now. gc_prune() ends it.
 *   - That of a mount (lease_create_for_mount) is live as long as the mount is on record
 *     (mounts/mount_record.h), also in later runs. That of what a step of a build made
 *     (leases_create_for_steps) is so as long as the step's record names it
 *     (cache/step_cache.h).
 *
 * A shared space with several daemons would need owners that all of them can see end
 * (etcd's leases); a root of LMDB has one daemon.
 */
#ifndef STORE_GC_LEASE_H
#define STORE_GC_LEASE_H

#include "store/store.h"

enum { LEASE_SECONDS = 24 * 3600 };

/* Makes the lease with these digests in one durable transaction (several for
 * more than fit one); no lease is left when one fails. */
int lease_create(struct store *s, const char *purpose, const struct digest *digests, size_t n, struct lease_id *ret_id,
		 struct err *err);
/* The same for a mount, whose record names the lease and is written already. */
int lease_create_for_mount(struct store *s, const struct mount_id *mount, const struct lease_id *id,
			   const struct digest *digests, size_t n, struct err *err);

/* The same for what steps of builds made, of whose records none is written yet. */
struct step_lease {
	struct lease_id id;
	struct digest key; /* of the record */
	struct digest blob;
};

int leases_create_for_steps(struct store *s, const struct step_lease *leases, size_t n, struct err *err);
/* The key of the step whose record names the lease. E_NOT_FOUND: there is none. */
int lease_step(struct store *s, const struct lease_id *id, struct digest *ret_key, struct err *err);
/* Makes it live by this run too, since the record that it is live by is about to go. E_NOT_FOUND. */
int lease_own(struct store *s, const struct lease_id *id, struct err *err);

int lease_id_new(struct lease_id *ret_id, struct err *err);
int lease_add(struct store *s, const struct lease_id *id, const struct digest *digests, size_t n, struct err *err);

/* Lets go of it and keeps it until it expires, from now on dead. Fine when it has ended. */
int lease_abandon(struct store *s, const struct lease_id *id, struct err *err);

/* Ends it. What only it held is garbage for the next collection. */
int lease_release(struct store *s, const struct lease_id *id, struct err *err);
/* Several at once, each of at most a few digests. */
int leases_release(struct store *s, const struct lease_id *ids, size_t n, struct err *err);

/* True when the blob is committed. Takes the digest's lock, so that the answer
 * holds as long as a lease or an edge that was written before the call does. */
bool content_claim(struct store *s, const struct digest *d, int64_t *ret_size);

#endif

/*
 * Leases as others see them: whether one is live, and its end as a part of another
 * transaction.
 */
#ifndef STORE_GC_LEASE_END_H
#define STORE_GC_LEASE_END_H

#include "store/gc/lease.h"
#include "store/records.pb-c.h"

/* Adds the lease's own deletion and as many of what it holds as the transaction
 * takes. *ret_all false: lease_release() clears the rest. Edges of a lease that is
 * gone keep nothing. */
int lease_end_some(struct store *s, const struct lease_id *id, struct meta_txn *t, bool *ret_all, struct err *err);

/* Whether its operation runs, or its mount or its step is on record (lease.h). */
bool lease_is_owned(const struct store *s, const struct lease_id *id, const Imaged__Store__V1__LeaseRecord *record);
/* The same; false as well when it has ended. */
int lease_is_live(struct store *s, const struct lease_id *id, bool *ret_live, struct err *err);

/* To compare in a transaction that relies on the lease. E_ABORTED when it is gone. */
int lease_revision(struct store *s, const struct lease_id *id, uint64_t *ret_revision, struct err *err);

#endif

/*
 * Events as parts of transactions.
 */
#ifndef STORE_IMAGE_EVENT_LOG_H
#define STORE_IMAGE_EVENT_LOG_H

#include "store/image/events.h"

/* Operations that event_commit() may add to drop old events. */
enum { EVENT_TRIM_OPS = 4 };

/* config, name and digest may be NULL. */
int event_add(struct meta_txn *t, enum event_action action, const struct digest *config, const char *name,
	      const struct digest *digest, int64_t now_ns, struct err *err);

/* Commits a transaction of the shared space that event_add() was called on, drops
 * events beyond EVENTS_KEPT with it, and wakes those who wait. */
int event_commit(struct store *s, struct meta_txn *t, struct err *err);

#endif

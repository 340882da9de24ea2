/*
 * The daemon's housekeeping, on a thread of its own: the collector (store/gc/gc.h) soon after
 * the start and every hour; and what builds keep, when it is too much or too old, then and
 * soon after it has changed.
 */
#ifndef SERVICE_MAINTENANCE_H
#define SERVICE_MAINTENANCE_H

#include "service/config/cache_limits.h"
#include "store/cache/build_cache.h"

struct maintenance;

struct maintenance_options {
	struct store *store;
	struct build_cache cache;
	struct cache_limits limits;
};

/* What it looks after outlives it. */
int maintenance_start(const struct maintenance_options *options, struct maintenance **ret_maintenance, struct err *err);
void maintenance_stop(struct maintenance *m); /* waits for it; NULL is fine */

#endif

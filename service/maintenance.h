/*
 * The daemon's housekeeping: the collector (store/gc/gc.h) soon after the start and
 * every hour, on a thread of its own.
 */
#ifndef SERVICE_MAINTENANCE_H
#define SERVICE_MAINTENANCE_H

#include "store/store.h"

struct maintenance;

int maintenance_start(struct store *s, struct maintenance **ret_maintenance, struct err *err);
void maintenance_stop(struct maintenance *m); /* waits for it; NULL is fine */

#endif

/*
 * What answers told of a registry's limit: for the caller of a repository, and, as long as
 * its window lasts, for later callers of the same host with the same credentials.
 *
 * How a limit is honoured before it is used up. Docker Hub counts GETs of manifests, not
 * HEADs and not blobs; others count as they like. So
 * - while a tenth or less remains, a name is resolved by HEAD even when it is new here,
 *   and nothing is fetched that the store has by its digest (registry_is_low());
 * - a 429 that says that nothing remains, and not when to come again, is the end: windows
 *   last for hours, and each further try may count. With Retry-After it is waited out, as
 *   any other (retry.h);
 * - nothing is refused here for what was heard before: limits slide, accounts change, and
 *   only the registry knows.
 *
 * Threads: any.
 */
#ifndef SERVICE_REGISTRY_HEARD_H
#define SERVICE_REGISTRY_HEARD_H

#include <pthread.h>

#include "service/registry/rate_limit.h"

struct endpoint;
struct http_exchange;
struct repository;
struct rate_memory;

struct heard {
	pthread_mutex_t mu;
	struct rate_limit rate;
};

void heard_init(struct heard *h);
void heard_destroy(struct heard *h);

struct rate_memory *rate_memory_new(void); /* NULL without memory */
void rate_memory_free(struct rate_memory *m);

/* An answer to a question that was put to `from`, be it of a storage that it led to. */
void heard_note(struct repository *r, const struct endpoint *from, bool redirected, const struct http_exchange *x);

/* Whether it says that nothing remains. */
bool heard_nothing_left(const struct http_exchange *x);

#endif

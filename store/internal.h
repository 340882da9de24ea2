/*
 * What a store is made of. For the store's own folders only.
 */
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>

#include "store/store.h"

enum { DIGEST_LOCKS = 64, INGEST_BUCKETS = 64, BOOT_ID_MAX = 40, CONTENT_SHARDS = 256, RUN_ID_LEN = 16 };

struct ingest;
struct pins;

/* Ingests that are open, by digest (content/ingest.c). */
struct ingest_table {
	pthread_mutex_t mu;	  /* guards the lists and the state of each ingest */
	pthread_cond_t committed; /* a commit has ended, well or not */
	struct ingest *open[INGEST_BUCKETS];
	uint64_t serial; /* of the last private ingest */
	uint64_t listed; /* how many there have been */
};

/* A directory of content: whether what was renamed into it is durable. At the start
 * that is not known, as the process before may have been killed in between. */
struct shard {
	atomic_uint_least64_t changed; /* grows with every rename, under the digest's lock */
	atomic_uint_least64_t synced;  /* `changed` as it was before the last fsync */
};

/* What is known of the event log without reading it (image/events.c). */
struct event_log {
	pthread_mutex_t mu;
	pthread_cond_t grown;
	bool loaded;
	uint64_t last; /* the newest event */
	size_t count;
	bool trimming; /* one transaction at a time drops old events */
};

/* Sums of what content and images of layers take (used.h). */
struct used {
	pthread_mutex_t mu;
	struct store_used all, layers; /* the second is in the first */
	uint64_t changes;	       /* how often something came or went */
};

struct store {
	char *root;
	int root_fd, lock_fd, content_fd, ingest_fd, quarantine_fd, layers_fd, contexts_fd;
	int builds_fd, caches_fd, logs_fd;
	bool read_only;
	struct meta *shared, *local;
	char boot_id[BOOT_ID_MAX];
	uint8_t run[RUN_ID_LEN]; /* random; tells the leases of this run from all others */
	/* One digest at a time: whether it is there, whether something needs it, and
	 * its coming and going are decided under the lock of its bucket. Never two. */
	pthread_mutex_t digest_locks[DIGEST_LOCKS];
	/* By algorithm; the last one of each stands for the directory of the shards. */
	struct shard shards[DIGEST_SHA512 + 1][CONTENT_SHARDS + 1];
	struct ingest_table ingests;
	struct event_log events;
	struct used used;
	const struct pins *pins; /* NULL: no rules */
};

void digest_lock(struct store *s, const struct digest *d);
void digest_unlock(struct store *s, const struct digest *d);

/* E_READ_ONLY on a read-only store. */
int store_writable(const struct store *s, struct err *err);

/* The next entry of a directory, NULL at its end. False with errno: readdir() alone
 * takes an error for the end. */
bool dir_next(DIR *dir, struct dirent **ret_entry);

/* A visitor or callback ended a call with the code r: one that knows the caller's err has
 * said why, and that stays; else `text`. */
int visit_failed(struct err *err, int r, const char *text);

/* As fail_errno(); a full disk also says how much was needed and is free. */
int store_fail_errno(struct store *s, int64_t needed, struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif

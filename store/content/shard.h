/*
 * The directories of content: made when first needed, and synced before metadata
 * may name what was renamed into them.
 */
#ifndef STORE_CONTENT_SHARD_H
#define STORE_CONTENT_SHARD_H

#include "store/internal.h"

enum { SYNC_SINGLY_MAX = 8 }; /* more fsyncs than these cost more than one syncfs */

/* Makes the directories for a digest. -1 with errno. */
int shard_make(struct store *s, const struct digest *d);
/* Something was renamed into it; with the digest's lock, after the rename. */
void shard_changed(struct store *s, const struct digest *d);

/* Makes the names of these blobs durable, whoever put them there. Those that were
 * claimed or committed before the call are covered. `fd`: any of this file system that
 * nobody else syncs with; an error is told to each only once (commit.c). */
int shards_sync(struct store *s, int fd, const struct digest *digests, size_t n, struct err *err);

#endif

/*
 * The store of one machine: a directory, opened by one daemon at a time.
 *
 *   ROOT/FORMAT            "imaged store 1\n": refused when newer
 *   ROOT/lock              flock of the daemon, its pid inside
 *   ROOT/content/sha256/XX/HEX   committed blobs, immutable; a file that exists was verified
 *   ROOT/ingest/ALGO-HEX.data    unfinished blobs
 *   ROOT/ingest/ALGO-HEX.journal what of them is known to be good
 *   ROOT/layers/sha256/XX/HEX.V  images of layers, see layers/layer_image.h
 *   ROOT/contexts/HEX/           files of clients' build contexts, see contexts/contexts.h
 *   ROOT/builds/caches/          directories of RUN --mount=type=cache, see cache/cache_mounts.h
 *   ROOT/builds/logs/            what builds told, see cache/build_log.h
 *   ROOT/mounts/                 the service's, see service/mount/mounts.h
 *   ROOT/quarantine/       damaged blobs that a repair put aside, until a check finds them replaced
 *   ROOT/meta/shared, ROOT/meta/local   metadata (LMDB), see meta/keys.h
 *
 * Directories are 0700. A read-only file system or root opens with `read_only`:
 * reading works, all that writes is E_READ_ONLY.
 *
 * Threads: every function of the store from any thread, unless its header says
 * otherwise. Nothing is locked across I/O but the one digest that I/O is about.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "store/meta/keys.h"

struct store;

enum { STORE_FORMAT = 1 };

/* E_BUSY names the pid of the daemon that holds the root, E_FORMAT a newer format,
 * E_INVALID a directory that is neither empty nor a store. */
int store_open(const char *root, struct store **ret_store, struct err *err);
void store_close(struct store *s);
void store_closep(struct store **s);

const char *store_root(const struct store *s);
bool store_read_only(const struct store *s);
struct meta *store_shared(struct store *s);
struct meta *store_local(struct store *s);

/* Bytes of the file system that holds the root. */
int store_disk(struct store *s, int64_t *ret_total, int64_t *ret_free, struct err *err);
/* What committed blobs and images of layers take of it: counted while they come and go, and
 * right from the moment that store_count_used() has looked once. Never waits for a disk. */
struct store_used {
	int64_t bytes, files;
};

void store_used(struct store *s, struct store_used *ret_used);
/* E_DISK_FULL, with needed and free, unless `bytes` more would fit and leave a reserve. */
int store_reserve(struct store *s, int64_t bytes, struct err *err);

#endif

/*
 * Mounts on record: which image is mounted at which directory, or about to be. The mounts
 * themselves are the service's business (service/mount/mounts.h).
 *
 * The life of a record: mount_record_begin() writes it as an intent, with a lease on all
 * of the image's content (lease.h), before anything is mounted; mount_record_commit() when
 * the mount stands; mount_record_end() when it is gone. What a crash leaves is found at the
 * next start: an intent is undone, and a committed one is right as long as the kernel has
 * its mount. So the content of what is mounted is never collected, whatever becomes of the
 * image's names.
 *
 * Ownership: records lie in the caller's arena. Threads: any, one at a time for one mount.
 */
#ifndef STORE_MOUNTS_MOUNT_RECORD_H
#define STORE_MOUNTS_MOUNT_RECORD_H

#include "proto/runtime/arena.h"
#include "store/records.pb-c.h"
#include "store/store.h"

enum {
	MOUNT_ID_TEXT_MAX = 2 * MOUNT_ID_LEN + 1,
	MOUNTS_MAX = 4096, /* on record, at once */
	MOUNTS_ARENA_MAX = 32 * 1024 * 1024,
};

struct mount_entry {
	struct mount_id id;
	Imaged__Store__V1__MountRecord *record;
};

/* 16 hex digits. */
char *mount_id_text(const struct mount_id *id, char out[MOUNT_ID_TEXT_MAX]);
bool mount_id_parse(struct bytes text, struct mount_id *ret_id);
bool mount_id_eq(const struct mount_id *a, const struct mount_id *b);

/* Fills in the record's lease and writes both. `blobs`: all that the lease holds; the
 * caller looks afterwards whether they are there (content_claim()). E_LIMIT. */
int mount_record_begin(struct store *s, Imaged__Store__V1__MountRecord *record, const struct digest *blobs, size_t n,
		       struct mount_id *ret_id, struct err *err);
int mount_record_commit(struct store *s, const struct mount_id *id, struct err *err);
/* Deletes the record and its lease, and then what of the content nothing else needs.
 * *ret_freed: its bytes, also of what went before a failure. Fine when there is none. */
int mount_record_end(struct store *s, const struct mount_id *id, int64_t *ret_freed, struct err *err);

/* E_NOT_FOUND. */
int mount_record_get(struct store *s, const struct mount_id *id, struct arena *arena, struct mount_entry *ret_entry,
		     struct err *err);
/* All of them, intents too, oldest first. */
int mount_records_read(struct store *s, struct arena *arena, struct mount_entry **ret_entries, size_t *ret_n,
		       struct err *err);

/* A mount of one of these manifests: its directory into the arena; NULL: there is none. */
int mount_of_manifests(struct store *s, const struct digest *manifests, size_t n, struct arena *arena,
		       char **ret_target, struct err *err);

#endif

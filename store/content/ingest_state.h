/*
 * Inside of an ingest, for the files of this folder.
 *
 * `state` is guarded by the table's lock. WRITING belongs to the owning thread; from
 * FINISHED on only content_commit() touches the files. A failed commit goes back to
 * FINISHED when trying again can help, else to BROKEN.
 *
 * A sync that failed is final: the kernel reports an error once and drops the pages, so
 * that the next sync is about nothing and succeeds. `lost` is set by whoever owns the
 * files at that time; bytes of such an ingest are never vouched for nor committed.
 *
 * journal.runs, once the ingest is scattered, is what has been written at all, also what
 * is not noted on disk yet. Threads of ingest_write_at() take `mu` to say what they wrote;
 * none waits for the disk with it but for the page cache.
 */
#ifndef STORE_CONTENT_INGEST_STATE_H
#define STORE_CONTENT_INGEST_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/content/ingest.h"
#include "store/content/journal.h"

enum ingest_state { INGEST_WRITING, INGEST_FINISHED, INGEST_COMMITTING, INGEST_COMMITTED, INGEST_BROKEN };

struct ingest {
	struct store *store;
	atomic_int refs;
	struct ingest *next; /* of its bucket; guarded by the table's lock */
	enum ingest_state state;
	struct digest digest;
	uint64_t serial; /* 0, or the number of a private one, which has no journal */
	uint64_t nth;	 /* a smaller one had its files opened earlier */
	int64_t size;	 /* -1 unknown */
	int data_fd, journal_fd;
	int64_t offset; /* bytes written and hashed; <= size */
	int64_t pushed; /* bytes whose write-back was started */
	struct hasher hasher;
	struct hasher border; /* the hash after the last whole block, for the journal */
	bool etag_changed;    /* since the journal was written */
	bool placed;	      /* renamed into content, or another one was there */
	bool unwanted;	      /* not to be kept; guarded by the table's lock */
	atomic_bool lost;     /* a sync has failed, whatever the reason: never to be believed again */

	pthread_mutex_t mu; /* guards what follows, and writing the journal */
	struct journal journal;
	int64_t unnoted; /* bytes that were scattered since the journal was written */
};

enum {
	INGEST_CHECKPOINT_BYTES = 64 * 1024 * 1024,
	INGEST_PUSH_BYTES = 8 * 1024 * 1024,
	INGEST_NOTE_BYTES = 1024 * 1024, /* scattered, between two notes */
	INGEST_HASH_STEP = 1024 * 1024,
	INGEST_SMALL_BYTES = 64 * 1024,
	INGEST_BORDER = 128,		   /* a multiple of the block of every hash */
	INGEST_JOURNAL_FROM = 1024 * 1024, /* smaller ones have a journal once they end */
	INGEST_ALLOCATE_FROM = 1024 * 1024,
};

/* Hashes and counts bytes that are in the file. */
void ingest_count(struct ingest *i, const uint8_t *data, size_t len);
/* Hashes what lies in the file up to `end`. False with errno: it cannot be read. */
bool ingest_hash(struct ingest *i, int64_t end);
/* Offset 0, empty files. False with errno. */
bool ingest_empty(struct ingest *i);
/* Room for the rest of a known size; E_DISK_FULL. */
int ingest_allocate(struct ingest *i, struct err *err);
/* The journal as it should be now, without vouching for more bytes. False with errno. */
bool ingest_note(struct ingest *i);
/* Syncs the data. False with errno, and from then on always. */
bool ingest_sync(struct ingest *i);
/* By errno: "WHAT ingest of DIGEST: …", with the room that was wanted where the disk is full. */
int ingest_fail(const struct ingest *i, struct err *err, const char *what);
/* Syncs the data and vouches for it. False with errno. */
bool ingest_checkpoint(struct ingest *i);

/* False when there is one of this digest and serial. */
bool ingest_list(struct ingest *i);
struct ingest *ingest_new(struct store *s, const struct digest *d, int64_t size, uint64_t serial);
/* Whether there is one of this digest, also a private one, besides `own` (may be NULL). */
bool ingest_is_open(struct store *s, const struct digest *d, const struct ingest *own);
/* So that its files go when it is closed. False when there is none of this digest open. */
bool ingest_mark_unwanted(struct store *s, const struct digest *d);
/* Removes it from the table, unless that was done. */
void ingest_unlist(struct ingest *i);

#endif

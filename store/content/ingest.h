/*
 * Bytes on their way in: the only door to content.
 *
 * An ingest is opened for a digest and a size, written in order, and hashed and
 * counted as it is written (or in several places at once, and hashed in order as the
 * gaps close: ingest_write_at). ingest_finish() compares both; content_commit() then
 * makes any number of finished ingests durable and visible: fsync each file (or
 * one syncfs for more than 8), rename into place, sync the directories. After
 * content_commit() has returned OK, the metadata that names them may be written,
 * not before.
 *
 * An ingest that is closed or cut off before its commit keeps its bytes and a
 * journal (DESIGN.md 11.8; journal.h): the next ingest_open() of that digest, in
 * this or a later process, goes on at ingest_offset(), which is the size when all
 * bytes are there. The journal vouches for bytes that were synced, with the state
 * of the hash; what lies behind them is hashed again by ingest_open(), and after a
 * reboot (boot_id differs) dropped, and the rest hashed. A journal that does not
 * fit its data counts for nothing: offset 0. Whatever the journal said, a file is
 * committed only after its hash was right. After a sync that failed, be it that the
 * disk was full, everything with the ingest is E_IO, and its files go with it.
 *
 * One ingest per digest at a time: E_BUSY (callers share transfers above).
 * Threads: an ingest belongs to one thread at a time; ingest_ref/unref from any.
 * Dirty pages are pushed out behind the writer (sync_file_range).
 */
#ifndef STORE_CONTENT_INGEST_H
#define STORE_CONTENT_INGEST_H

#include "proto/runtime/cancel.h"
#include "store/content/content.h"

struct ingest;

enum { INGEST_ETAG_MAX = 256 };

/* size -1: unknown. E_EXISTS when the blob is committed already; E_DISK_FULL when
 * the rest of a known size does not fit. */
int ingest_open(struct store *s, const struct digest *d, int64_t size, struct ingest **ret_ingest, struct err *err);
struct ingest *ingest_ref(struct ingest *i);
/* The last reference checkpoints and closes: the bytes stay for a resume. */
void ingest_unref(struct ingest *i);
void ingest_unrefp(struct ingest **i);

int64_t ingest_offset(const struct ingest *i); /* bytes that are written and hashed */
const struct digest *ingest_digest(const struct ingest *i);
/* What the server called this version of the bytes, for If-Range; "" if unknown. */
const char *ingest_etag(const struct ingest *i);
void ingest_set_etag(struct ingest *i, const char *etag);

/* E_LIMIT past the size: the server sent more than the descriptor says. */
int ingest_write(struct ingest *i, const void *data, size_t len, struct err *err);
/*
 * Bytes that come in several places at once, as ranges of a blob of a known size.
 * ingest_scatter() comes first, once, from the owner. Then any number of threads write,
 * each bytes that no other one writes, while the owner has ingest_advance() hash what
 * follows the offset; all but the owner must have stopped before anything else is called.
 *
 * The journal is told the written runs (runs.h) every MiB: those are found again by a
 * later process, whatever the gaps between them, unless the machine was restarted.
 */
int ingest_scatter(struct ingest *i, struct err *err);
int ingest_write_at(struct ingest *i, int64_t where, const void *data, size_t len, struct err *err);
/* 1 when the offset moved, by a step; 0 when the next byte is not here. */
int ingest_advance(struct ingest *i, struct err *err);
/* The first gap that begins or goes on at `from` or behind. False: there is none. */
bool ingest_missing(struct ingest *i, int64_t from, int64_t *ret_from, int64_t *ret_to);
/* Bytes that are here: up to the offset, and written behind it. Of the owner. */
int64_t ingest_present(struct ingest *i);

/* Forgets all bytes: the server does not know ranges, or the bytes were wrong. */
int ingest_restart(struct ingest *i, struct err *err);

/* A read-only descriptor of the growing file, for the worker; the caller closes it. */
int ingest_reader(struct ingest *i, int *ret_fd, struct err *err);

/* All bytes are here: E_CORRUPT when there are fewer than the size says (more may
 * be written), E_DIGEST_MISMATCH when they are others, and then they are dropped:
 * the ingest is at offset 0 again. After OK nothing is written any more. */
int ingest_finish(struct ingest *i, struct err *err);

/* See above. Ingests may be shared with other callers of content_commit(): each
 * is committed once and everybody returns when it is durable. */
int content_commit(struct store *s, struct ingest *const *ingests, size_t n, struct err *err);

/* A small blob in one call: ingest, finish; not yet committed. NULL in
 * *ret_ingest when it is committed already. Never E_BUSY. */
int ingest_bytes(struct store *s, const struct digest *d, struct bytes data, struct ingest **ret_ingest,
		 struct err *err);

/* What is here of a digest is of no use to anybody: the operation was refused. Removed at
 * once, or when those who have it open close it without a commit. */
void ingest_discard(struct store *s, const struct digest *d);

/* Bytes whose digest is not known before they are all here, as a member of an archive.
 * No journal: what is not committed is gone with the last reference. ingest_name()
 * stands for ingest_finish(): it tells the digest, under which the ingest is then
 * committed. */
int ingest_open_unnamed(struct store *s, enum digest_algorithm algorithm, struct ingest **ret_ingest, struct err *err);
int ingest_name(struct ingest *i, struct digest *ret_digest, struct err *err);

/* Unfinished ingests: bytes on disk now, those of them that nobody has open, and removal
 * of the latter when they were last written before `older_than_ns`. */
int ingest_usage(struct store *s, int64_t *ret_bytes, struct err *err);
int ingest_unopened(struct store *s, int64_t *ret_bytes, struct err *err);
/* What one of this digest takes on the disk by now, with the room it has set aside; 0: none. */
int64_t ingest_taken(struct store *s, const struct digest *d);
int ingest_sweep(struct store *s, int64_t older_than_ns, int64_t *ret_freed, struct err *err);

#endif

/*
 * Builds on record: what was built, when, how it ended, and all that its steps wrote; the
 * last BUILD_LOGS_MAX of them.
 *
 *   ROOT/builds/logs/ID     events of the build, as their messages (imaged.v1.BuildEvent), each
 *                           behind its length (4 bytes, little endian): what a client saw
 *   keys.h                  a record for each
 *
 * A build that a crash ended is found as such ("interrupted"). Losing a log harms no build: where
 * it cannot be written the build goes on, and the record says that it was cut off.
 *
 * Threads: a build_log belongs to one at a time; the rest from any.
 */
#ifndef STORE_CACHE_BUILD_LOG_H
#define STORE_CACHE_BUILD_LOG_H

#include "proto/runtime/arena.h"
#include "store/records.pb-c.h"
#include "store/store.h"

enum {
	BUILD_LOGS_MAX = 200,
	BUILD_LOG_BYTES_MAX = 64 * 1024 * 1024, /* of one; then it is cut off */
	BUILD_ID_TEXT_MAX = 26,			/* 25 characters [a-z0-9], the later the greater */
};

struct build_log;

/* Fills in `record`'s id (the log's text) and started_ns, and writes it. */
int build_log_begin(struct store *s, Imaged__Store__V1__BuildRecord *record, struct build_log **ret_log,
		    struct err *err);
const char *build_log_id(const struct build_log *l);
void build_log_write(struct build_log *l, struct bytes event);
/* Writes how it ended into the record; frees. Then the oldest beyond BUILD_LOGS_MAX go. */
void build_log_end(struct build_log *l, const Imaged__Store__V1__BuildRecord *record);

/* Newest first, those that began before the one with the id `after`; "": all. State and all
 * else as they are now: INTERRUPTED where the process that ran it is gone. */
typedef bool build_record_visit(void *arg, const Imaged__Store__V1__BuildRecord *record);
int build_records_each(struct store *s, const char *after, build_record_visit *visit, void *arg, struct err *err);
/* By the beginning of an id, or "^N": the N-th before the newest; "" is the newest. E_NOT_FOUND,
 * E_CONFLICT: several. */
int build_record_get(struct store *s, const char *id, struct arena *arena, Imaged__Store__V1__BuildRecord **ret_record,
		     struct err *err);
/* Of a whole id. For reading; the caller's. Half an event at its end is to be expected. E_NOT_FOUND. */
int build_log_open(struct store *s, const char *id, int *ret_fd, struct err *err);
/* As build_record_get() finds it. E_CONFLICT: it runs. */
int build_record_remove(struct store *s, const char *id, struct err *err);

#endif

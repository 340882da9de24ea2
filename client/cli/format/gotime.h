/*
 * Times and durations as Go prints and reads them (packages time, and docker's
 * api/types/time). Local time follows TZ. Pure but for that; thread-safe.
 */
#ifndef CLIENT_CLI_FORMAT_GOTIME_H
#define CLIENT_CLI_FORMAT_GOTIME_H

#include "proto/runtime/buf.h"

/* 0001-01-01T00:00:00Z: Go's zero time, an image without a date. */
#define TIME_ZERO INT64_C(-62135596800)

/* time.Time.String(): "2021-10-16 01:47:45.87597179 +0000 UTC". */
bool time_text_go(struct buf *out, int64_t seconds, int32_t nanos, bool utc);
/* RFC 3339 without fraction in local time: "2021-10-15T09:47:45+08:00". */
bool time_text_local(struct buf *out, int64_t seconds);
/* RFC 3339 in UTC, the fraction without trailing zeros. */
bool time_text_utc(struct buf *out, int64_t seconds, int32_t nanos);

/* time.Duration.String(): "1h0m30.5s". */
bool duration_text(struct buf *out, int64_t nanos);
/* time.ParseDuration. */
bool duration_parse(const char *text, int64_t *ret_nanos);

/* What docker's `until` filter takes: RFC 3339 with or without zone, seconds or
 * fraction, a date, Unix seconds[.nanoseconds], or a duration before `now_ns`
 * (nanoseconds since 1970). E_INVALID with docker's words. */
int time_parse_filter(const char *text, int64_t now_ns, int64_t *ret_seconds, int32_t *ret_nanos, struct err *err);

#endif

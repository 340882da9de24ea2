/*
 * Which parts of a file are there: a few runs of bytes, in order, that neither overlap
 * nor touch. Pure.
 *
 * There is room for RUNS_MAX. Where one more would be needed the highest is forgotten:
 * its bytes count as missing again, and what lies lowest is never lost.
 */
#ifndef STORE_CONTENT_RUNS_H
#define STORE_CONTENT_RUNS_H

#include "proto/runtime/mem.h"

enum { RUNS_MAX = 16 };

struct run {
	int64_t from, to; /* 0 <= from < to */
};

struct runs {
	struct run list[RUNS_MAX];
	size_t n; /* <= RUNS_MAX */
};

/* Joins what it touches; nothing when it is empty. */
void runs_add(struct runs *r, int64_t from, int64_t to);
/* The end of the run that holds or ends at `at`; `at` itself where none does. */
int64_t runs_reach(const struct runs *r, int64_t at);
/* Where the first run behind `at` begins; `end` where there is none before it. */
int64_t runs_next(const struct runs *r, int64_t at, int64_t end);
/* Bytes of the runs that lie behind `at`. */
int64_t runs_beyond(const struct runs *r, int64_t at);
/* The end of the last one; 0 where there is none. */
static inline int64_t runs_end(const struct runs *r)
{
	return r->n ? r->list[r->n - 1].to : 0;
}
/* Whether they are as the above says, and none ends behind `end`. */
bool runs_valid(const struct runs *r, int64_t end);

#endif

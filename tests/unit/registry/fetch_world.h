/*
 * A registry, its storage, and a blob that they serve in the ways of a script.
 */
#ifndef TESTS_UNIT_REGISTRY_FETCH_WORLD_H
#define TESTS_UNIT_REGISTRY_FETCH_WORLD_H

#include <stdatomic.h>

#include "store/content/ingest.h"
#include "tests/unit/registry/rig.h"

enum { SIZE = 3 * 1024 * 1024 + 17 };

/* How the next answers come about; after the last step the blob is served well. */
enum step {
	GOOD = 0,
	BREAK_HALF,    /* 200 or 206, then the connection is gone half-way */
	BREAK_AT_ONCE, /* headers, no byte */
	RESET_HALF,
	STALL_HALF,
	REDIRECT, /* 307 to the storage */

	STATUS_503,
	STATUS_429,
	STATUS_416,
	STATUS_404,
	STATUS_401,

	IGNORE_RANGE,  /* 200 with everything */
	IGNORE_HALF,   /* the same, broken off half-way */
	EMPTY_RANGE,   /* 206 of what was asked, without a byte */
	SHIFTED_RANGE, /* 206 one byte further */
	SHORT_RANGE,   /* 206 with only some of what was asked */
	NO_CONTENT_RANGE,
	OTHER_TOTAL, /* 206 of a file of another size */

	TOO_LONG,
	TOO_SHORT,
	TOO_LONG_CHUNKED,
	CHUNKED,
	HTTP_1_0,
	OTHER_BYTES, /* right size, wrong content */
	ENCODED,
	STEPS_MAX = 32,
};

struct world {
	struct rig *rig;
	struct fake *registry, *storage;
	struct store *store;
	char folder[64];
	uint8_t *data;
	struct descriptor blob;
	enum step steps[STEPS_MAX];
	atomic_uint at;
	const char *etag;
	bool always_redirect;
	enum step storage_steps[STEPS_MAX];
	atomic_uint storage_at;
	const char *want_token; /* NULL: open */
	int refusal;		/* what the observer says to the second half, */
	unsigned refusals;	/* so often */

	atomic_int retrying, restarted;
	atomic_llong progress, fetched;
	char why[512];
	struct err err;
};

void world_start(struct world *w);
void world_stop(struct world *w);

/* Answers a request for the blob in this way. */
void serve_step(struct fake_conn *c, const struct fake_request *q, const struct world *w, enum step step);

struct ingest *open_ingest(struct world *w);
int fetch_into(struct world *w, struct ingest *i, const struct credentials *credentials, struct cancel *cancel);
/* Into an ingest of its own, which is committed. */
int fetch_with(struct world *w, const struct credentials *credentials);
int fetch(struct world *w);

/* Of the requests for the blob that the registry saw: headers of the last, NULL if not sent; how many. */
const char *range_of_last(struct world *w);
const char *if_range_of_last(struct world *w);
unsigned requests(struct world *w);

#endif

/*
 * What the tests of transfers share: a store, a table of transfers, and a registry
 * with one blob, whose answers a test holds back and lets go. Nothing here waits for
 * time to pass: what does not come about hangs, and the runner ends the program.
 */
#ifndef TESTS_UNIT_IMAGE_WORLD_H
#define TESTS_UNIT_IMAGE_WORLD_H

#include "service/image/transfer.h"
#include "tests/unit/registry/rig.h"

enum { BLOB_SIZE = 1024 * 1024, BLOB_HALF = BLOB_SIZE / 2, NOTICED = 256 * 1024 };

enum answer_kind {
	SERVE,
	HOLD_HALF,   /* half of what was asked for, the rest when the gate opens */
	STALL_HALF,  /* half, then nothing until the client goes */
	BREAK_HALF,  /* half, then the connection ends; the next one is served */
	MISSING,     /* 404 */
	UNAVAILABLE, /* 503 */
	OTHER_BYTES, /* of the right size */
};

struct world {
	struct fake *fake;
	struct registry *registry;
	struct repository *repository;
	struct retry_env env;
	struct store *store;
	struct transfers *transfers;
	char folder[64];
	uint8_t *data;
	struct descriptor blob;
	struct digest source;

	pthread_mutex_t mu;
	pthread_cond_t changed;
	enum answer_kind kind; /* mu, and so are the following */
	bool gate_open;
	unsigned let_pass;  /* so many of those at the gate go on all the same */
	unsigned at_gate;   /* answers and pauses that have come to the gate */
	unsigned busy;	    /* times that an ingest was asked for which somebody has open */
	unsigned gone;	    /* stalled clients that went */
	unsigned commit_at; /* that many ingest_open() from now somebody commits the blob */
	bool hold_pauses;   /* pauses before retries wait at the gate; else they take no time */
};

/* cmocka set-up and tear-down. */
int world_start(void **state);
int world_stop(void **state);

void world_answer(struct world *w, enum answer_kind kind);
void world_open_gate(struct world *w);
void world_let_pass(struct world *w); /* one more */
void world_hold_pauses(struct world *w);
void world_await_gate(struct world *w, unsigned n);
void world_await_busy(struct world *w, unsigned n);
unsigned world_busy(struct world *w);
void world_await_gone(struct world *w, unsigned n);
/* GET requests for the blob. */
unsigned world_requests(struct world *w);
/* Somebody else commits the blob just before the nth ingest_open() from now. */
void world_commit_before_open(struct world *w, unsigned nth);
/* The blob as all zeros: an empty archive as well, when it is a layer. */
void world_make_layer(struct world *w);
/* The blob's bytes, committed; then a byte of them changed, or the end cut off. */
void world_commit(struct world *w);
void world_damage(struct world *w);
void world_cut(struct world *w);

/* ---- one who watches ---------------------------------------------------------- */

struct watcher {
	struct transfer_watch watch;
	struct transfer *transfer;
	bool started;
	struct transfer_request request;
};

/* Asks for the blob from the registry, as no layer. */
void watcher_init(struct watcher *x, struct world *w);
void watcher_destroy(struct watcher *x); /* it has left */
int watcher_join_code(struct watcher *x, struct world *w, struct err *err);
/* Until there is a transfer: an earlier one may have to end first. */
void watcher_join(struct watcher *x, struct world *w);
void watcher_leave(struct watcher *x);

struct transfer_status watcher_status(struct watcher *x);
/* Sleeps on the watch alone, so that each change must have been signalled. */
void watcher_await_state(struct watcher *x, enum transfer_state state);
void watcher_await_offset(struct watcher *x, int64_t offset);

/* Waits for the end, which is good: what it gave. */
struct ingest *watcher_done(struct watcher *x, struct layer_facts *ret_facts);
/* Waits for the end, which has that reason. */
void watcher_failed(struct watcher *x, int code, struct err *ret_err);

/* Commits the ingest and reads the blob back. */
void world_commit_ingest(struct world *w, struct ingest *ingest);
void world_assert_intact(struct world *w);

/* All threads of transfers are through: those that ended have dropped their table entries. */
void world_await_none(struct world *w);

#endif

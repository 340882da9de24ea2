/*
 * Blobs on their way from a registry: one transfer per digest in the whole daemon,
 * however many pulls want it (DESIGN.md 6).
 *
 * A pull joins a transfer and watches it; each has its own deadline. The transfer
 * runs on a pool thread: fetch into an ingest, and for a layer feed the worker of
 * the pull that started it. When the last watcher leaves an unfinished transfer it
 * is cancelled and its bytes stay for a resume. A finished one holds a finished,
 * not yet committed ingest that every watcher may commit. One that failed leaves
 * the table before it says so: who wants the blob all the same starts another.
 *
 * One registry gets half of the threads at most: others go on beside one that stalls.
 * Its further transfers wait for their turn: of those that wait, one of the image that has
 * the fewest running comes next, so that a large image does not hold up a small one.
 *
 * A blob that is committed already (it was never looked into, or is not what it
 * was) is read and compared with its digest; when it is damaged it goes into
 * quarantine and is fetched again.
 *
 * Threads: a `struct transfer_watch` belongs to the pull's thread; the rest is
 * locked inside. Nothing is locked while bytes move.
 */
#ifndef SERVICE_IMAGE_TRANSFER_H
#define SERVICE_IMAGE_TRANSFER_H

#include <pthread.h>

#include "service/image/transfer_list.h"
#include "service/layer/layer.h"
#include "service/pool.h"
#include "service/registry/registry.h"
#include "store/content/ingest.h"

struct transfers;
struct transfer;

enum { TRANSFER_MESSAGE_MAX = 256 };

enum transfer_state {
	TRANSFER_WAITING,
	TRANSFER_DOWNLOADING,
	TRANSFER_RETRYING,
	TRANSFER_VERIFYING,
	TRANSFER_DONE,
	TRANSFER_FAILED,
};

struct transfer_status {
	enum transfer_state state;
	int64_t present;		    /* bytes of the blob that are here */
	int64_t fetched;		    /* of them, over the network by this transfer */
	int64_t resumed;		    /* of them, left by an earlier one */
	char message[TRANSFER_MESSAGE_MAX]; /* TRANSFER_RETRYING: why */
};

/* What one pull waits on: signalled whenever one of its transfers changes. */
struct transfer_watch {
	pthread_mutex_t mu;
	pthread_cond_t changed;
	bool dirty; /* guarded by mu */
};

void transfer_watch_init(struct transfer_watch *w);
void transfer_watch_destroy(struct transfer_watch *w);
/* Until a change or `ms`; clears dirty. Fires early on cancel. */
void transfer_watch_wait(struct transfer_watch *w, int64_t ms);
void transfer_watch_wake(void *watch); /* also as a cancel hook */

int transfers_new(struct store *s, unsigned threads, struct transfers **ret_transfers, struct err *err);
/* All watchers must have left. */
void transfers_free(struct transfers *t);

struct transfer_request {
	const struct descriptor *blob;
	struct repository *repository;
	const char *name;		     /* of that repository, canonical, for those who watch; copied */
	Imaged__V1__Transfer__Origin origin; /* for those who watch */
	struct layer_workers *workers;	     /* NULL: no layer, nothing is inflated */
	bool no_image;			     /* of a layer: none is made of it, but by who shares the transfer */
	struct bytes data;		     /* set: the caller has the bytes, nothing is fetched; copied */
	/* Stands for repository and credentials: whoever has the same would fail the
	 * same way. */
	struct digest source;
};

/* Joins the transfer of that digest or starts it (*ret_started). *ret_transfer is
 * NULL while there is one that is being cancelled, or that another manifest wants in
 * another size or for another use: whoever lies, that one ends, so ask again soon.
 * E_BUSY when too many wait; E_BAD_CONTENT when the watch itself watches that other. */
int transfer_join(struct transfers *t, const struct transfer_request *request, struct transfer_watch *watch,
		  struct transfer **ret_transfer, bool *ret_started, struct err *err);
void transfer_leave(struct transfer *t, struct transfer_watch *watch);

void transfer_status(struct transfer *t, struct transfer_status *ret_status);

/* After TRANSFER_DONE or TRANSFER_FAILED only. The ingest is NULL when the blob had
 * been committed by somebody else meanwhile; it stays the transfer's. */
int transfer_result(struct transfer *t, struct ingest **ret_ingest, struct layer_facts *ret_facts, struct err *err);

/* The image of a layer whose transfer is done; NULL: none was made. It stays the transfer's. */
struct layer_image *transfer_image(const struct transfer *t);

/* Whether it was started with this source and for as much, so that its failure is ours as
 * well. A layer of which no image can be made may be good enough for who wants none. */
bool transfer_is_from(const struct transfer *t, const struct digest *source, bool no_image);

/* Where all of them are listed, and where others list what they move. */
struct transfer_list *transfers_list(struct transfers *t);

/* Transfers that wait, run, are being cancelled, or are done and still watched: for
 * tests, which wait until there are none. */
size_t transfers_running(struct transfers *t);
/* How busy their threads are. */
void transfers_load(struct transfers *t, struct pool_load *ret_load);

#endif

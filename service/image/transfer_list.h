/*
 * What WatchTransfers shows: every blob on its way, whoever moves it: pulls (transfer.c),
 * pushes, copies.
 *
 * Who moves a blob keeps a `struct transfer_entry` as long as that lasts, adds it to the
 * list, and says how far it is; that costs an atomic store and, when somebody watches, a
 * signal. What is in the list is seen; nothing here moves or ends anything.
 *
 * Threads: any. The lock is a leaf: nothing is waited for with it, no other is taken.
 */
#ifndef SERVICE_IMAGE_TRANSFER_LIST_H
#define SERVICE_IMAGE_TRANSFER_LIST_H

#include <pthread.h>
#include <stdatomic.h>

#include "imaged/v1/transfer.pb-c.h"
#include "proto/runtime/cancel.h"
#include "store/types/digest.h"

enum { TRANSFER_ENTRY_MESSAGE_MAX = 256 };

struct transfer_list {
	pthread_mutex_t mu;
	pthread_cond_t changed;
	struct transfer_entry *first, *last; /* mu; oldest first */
	size_t n;			     /* mu */
	atomic_uint watchers;		     /* threads in transfer_list_wait() */
	atomic_ullong revision;
};

struct transfer_entry {
	/* Constant while it is listed, and set before by whoever adds it. */
	Imaged__V1__Transfer__Direction direction;
	struct digest digest;
	int64_t total;
	const char *repository; /* its canonical name; borrowed */
	atomic_uint origins;	/* a bit for each Imaged__V1__Transfer__Origin; grows */

	/* How far it is: whoever moves the blob, by the functions below. */
	atomic_int state; /* Imaged__V1__Transfer__State */
	atomic_llong current, resumed;
	atomic_llong moving_ms; /* monotonic, since when it is TRANSFERRING; 0: it never was */
	atomic_int watchers;	/* calls that wait for it */

	/* The list's. */
	struct transfer_list *list; /* NULL: in none */
	int64_t started_ns;
	char message[TRANSFER_ENTRY_MESSAGE_MAX];
	struct transfer_entry *prev, *next;
};

void transfer_list_init(struct transfer_list *l);
void transfer_list_destroy(struct transfer_list *l); /* it must be empty */

void transfer_list_add(struct transfer_list *l, struct transfer_entry *e);
void transfer_list_remove(struct transfer_entry *e); /* nothing when it is in none */

/* `why` (may be NULL) is shown beside RETRYING. */
void transfer_entry_state(struct transfer_entry *e, Imaged__V1__Transfer__State state, const char *why);
void transfer_entry_current(struct transfer_entry *e, int64_t current);
/* Both: it is at `current`, and no longer waits to be tried again. */
void transfer_entry_moves(struct transfer_entry *e, int64_t current);
void transfer_entry_origin(struct transfer_entry *e, Imaged__V1__Transfer__Origin origin);
void transfer_entry_watchers(struct transfer_entry *e, int watchers);

/* Copies the entries, oldest first; the strings are the caller's, with the array: free it
 * with transfer_snapshot_free(). *ret_revision is what the copy is of. */
struct transfer_snapshot {
	struct transfer_entry *entries;
	char **repositories;
	size_t n;
	uint64_t revision;
};

int transfer_list_snapshot(struct transfer_list *l, struct transfer_snapshot *ret_snapshot, struct err *err);
void transfer_snapshot_free(struct transfer_snapshot *s); /* also the cleanup function */

/* Until there is something newer than `revision`; false when the token fired. */
bool transfer_list_wait(struct transfer_list *l, uint64_t revision, struct cancel *until);

#endif

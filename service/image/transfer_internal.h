/*
 * One transfer and the table of all: what transfer.c (who joins, who leaves) and
 * transfer_run.c (what its thread does) share.
 *
 * Locks: table->mu before t->mu before the mutex of a watch. None is held while a
 * file, a worker or a registry is waited for.
 */
#ifndef SERVICE_IMAGE_TRANSFER_INTERNAL_H
#define SERVICE_IMAGE_TRANSFER_INTERNAL_H

#include "service/image/transfer.h"
#include "service/log.h"
#include "service/pool.h"

struct watcher {
	struct transfer_watch *watch;
	struct watcher *next;
};

enum turn {
	TURN_TO_COME, /* its registry has threads enough: nobody runs it yet */
	TURN_NOW,     /* given to the pool */
	TURN_OVER,
};

struct transfer {
	struct transfers *table;
	struct transfer *prev, *next; /* in the table; guarded by table->mu */
	bool listed;		      /* guarded by table->mu */
	enum turn turn;		      /* guarded by table->mu */
	unsigned refs;		      /* watchers and the thread; guarded by table->mu */
	unsigned watching;	      /* guarded by table->mu */
	struct cancel *cancel;
	struct transfer_entry entry; /* what is shown of it */
	char *name;		     /* the entry's */

	/* Constant. */
	struct log_context context; /* of the call that began it */
	struct digest digest, source;
	struct descriptor blob;	 /* media_type and urls are our copies */
	bool is_layer;		 /* the worker looks into it */
	bool no_image;		 /* and makes none of it */
	const struct host *host; /* whose turns it takes; NULL: nobody is asked for bytes */

	/* Owned by the thread that runs it. */
	uint8_t *data; /* our copy of the request's, blob.size bytes; or NULL */
	struct repository *repository;
	struct layer_workers *workers;
	struct layer_job *job;
	struct layer_image *image; /* of a layer; once it is sealed, its watchers' too */
	bool image_is_open;	   /* and counted in table->open_images */
	int64_t notified;	   /* offset that watchers were woken for */
	bool aside;		   /* what was committed is damaged, and in the quarantine */

	pthread_mutex_t mu; /* guards what follows */
	struct watcher *watchers;
	struct transfer_status status;
	struct err result; /* code OK when done */
	struct ingest *ingest;
	struct layer_facts facts;
};

struct transfers {
	struct store *store;
	struct pool *pool;
	struct transfer_list shown;
	unsigned per_host; /* threads of the pool */
	/* Images that are done and still have a descriptor each, until their pull is published.
	 * More than so many are parked, which costs a sync each. */
	unsigned open_images_max;
	atomic_uint open_images;
	pthread_mutex_t mu;
	struct transfer *list; /* guarded by mu, like n */
	size_t n;
};

/* The task of the pool. Drops the thread's reference at its end. */
void transfer_run(void *transfer);

/* With table->mu held. */
void transfer_unlist_locked(struct transfer *t);
/* Its thread is free: for the next one of the same registry. */
void transfer_end_turn_locked(struct transfer *t);
void transfer_unref_locked(struct transfer *t);

#endif

/*
 * An archive on its way from the thread that receives the call's messages to the one that
 * reads it: one piece at a time, so that a client is never ahead by more than that.
 *
 * archive_feed_put() waits until the piece before it was taken. Both sides end the other's
 * wait: the reader by archive_feed_close(), the receiving side by archive_feed_fail().
 */
#ifndef SERVICE_BUILD_CONTEXT_ARCHIVE_FEED_H
#define SERVICE_BUILD_CONTEXT_ARCHIVE_FEED_H

#include <pthread.h>

#include "imaged/v1/build.pb-c.h"
#include "proto/runtime/cancel.h"
#include "service/build/context/context_archive.h"

struct archive_feed {
	struct cancel *cancel; /* may be NULL */
	pthread_mutex_t mu;    /* guards the rest */
	pthread_cond_t changed;
	struct bytes piece; /* borrowed from the message while put() waits */
	bool given;	    /* the reader has it in hand */
	bool ended, closed;
	bool failed;
	struct err failure;
};

void archive_feed_init(struct archive_feed *f, struct cancel *cancel);
void archive_feed_free(struct archive_feed *f);

/* The thread that receives. E_INVALID: bytes behind the end. */
int archive_feed_put(struct archive_feed *f, const Imaged__V1__ArchiveData *m, struct err *err);
void archive_feed_fail(struct archive_feed *f, const struct err *why);

/* The thread that reads: what context_archive_read() takes. */
struct archive_reader archive_feed_reader(struct archive_feed *f);
void archive_feed_close(struct archive_feed *f);

#endif

/*
 * Sends what a service asks for of a build's contexts, from a thread of its own, so that the
 * command meanwhile receives what becomes of the build.
 *
 * Where nothing is asked for the service is told now and then that the client is still there.
 *
 * Fill in the first part, start, hand over each event that asks, end. End waits for no input:
 * when the call is over, so is the upload.
 */
#ifndef CLIENT_CLI_BUILD_CONTEXT_UPLOAD_H
#define CLIENT_CLI_BUILD_CONTEXT_UPLOAD_H

#include <pthread.h>

#include "client/cli/build/listing.h"
#include "client/cli/input.h"
#include "imaged/v1/build.pb-c.h"

enum { UPLOAD_QUIET_MS = 15 * 1000 };

/* A context that this machine has; one of both. */
struct upload_source {
	const char *name;
	const struct listing *listing;
	struct input *archive;
};

struct upload_order;

struct context_upload {
	const struct upload_source *sources;
	size_t n_sources;
	int quiet_ms;
	void *stream; /* first argument of these: */
	int (*send)(void *stream, const Imaged__V1__BuildRequest *request, struct err *err);
	void (*cancel)(void *stream);

	pthread_t thread;
	bool running;
	int over; /* eventfd: the call is */
	pthread_mutex_t mu;
	pthread_cond_t changed;
	struct upload_order *first, *last; /* under mu */
	bool ended;			   /* under mu */
	int64_t bytes;			   /* of files and archives, sent; under mu */
	struct err own;
};

int context_upload_start(struct context_upload *u, struct err *err);
/* Takes a WantList, WantFiles or WantArchive; true when it was one. E_INTERNAL: the service
 * asks for what there is not. */
int context_upload_take(struct context_upload *u, const Imaged__V1__BuildEvent *event, bool *ret_taken,
			struct err *err);
int64_t context_upload_bytes(struct context_upload *u);
/* Stops it; fills in `own` if this side has failed. Fine when it was never started. */
void context_upload_end(struct context_upload *u, struct err *own);

#endif

/*
 * Sends an input in order into a call, from a thread of its own, so that the command
 * meanwhile receives what becomes of it.
 *
 * The service ends a call that sends nothing for a minute. Where the input is silent,
 * such as a pipe whose writer is busy, empty pieces are sent, which mean nothing.
 *
 * Fill in the first part, upload_start(), receive to the end, upload_end(). That one
 * waits for no input: when the call is over, so is the upload.
 */
#ifndef CLIENT_CLI_UPLOAD_H
#define CLIENT_CLI_UPLOAD_H

#include <pthread.h>

#include "client/cli/input.h"

enum { UPLOAD_SILENCE_MS = 15 * 1000 };

struct upload {
	struct input *in;
	int silence_ms; /* after which an empty piece is sent */
	void *stream;	/* first argument of these: */
	int (*send)(void *stream, const uint8_t *data, size_t len, struct err *err);
	int (*close)(void *stream, struct err *err);
	void (*cancel)(void *stream); /* half an input must not look like a whole one */

	pthread_t thread;
	bool running;
	int over; /* eventfd */
	struct err own;
};

int upload_start(struct upload *u, struct err *own);
/* Stops it; fills in `own` if this side has failed. Fine when it was never started. */
void upload_end(struct upload *u, struct err *own);

/* A send that fails with E_ABORTED means that the service has ended the call: its
 * status, which next() gives, says why. Any other failure is of this machine, and the
 * service does not know of it. */
static inline bool is_own_failure(const struct err *own)
{
	return own->code != OK && own->code != E_ABORTED;
}

#endif

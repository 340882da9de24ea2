/*
 * When a request is tried again: one table (retry.c), one decision.
 *
 * A failure has a class; the class has a number of attempts, a first pause and a
 * longest one. Pauses double and carry jitter; a server's Retry-After (seconds or
 * an HTTP date) is obeyed up to RETRY_AFTER_MAX_MS, and when it asks for more the
 * caller is told at once instead of being kept waiting.
 *
 * A transfer has a budget besides: progress renews the patience with failures in a row,
 * but a connection that breaks after every few bytes is not worth its requests.
 *
 * Here is how long and how often; what may be tried again at all is said by those
 * who ask, in loops of their own: fetch.c and upload.c (decide()), blob_reader.c, foreign.c
 * and reply.c (request_patient()) for transfers, reply.c (request_reply()) and site.c for
 * questions, token_fetch.c (with_retries()) for those to token servers. request.c gives
 * a failure its class; one of a token server is RETRY_CONNECT, since it was tried again
 * as a question already.
 *
 * Clock, chance and sleep come from outside, so that tests own them.
 */
#ifndef SERVICE_REGISTRY_RETRY_H
#define SERVICE_REGISTRY_RETRY_H

#include "proto/runtime/cancel.h"
#include "service/registry/http.h"

enum {
	RETRY_AFTER_MAX_MS = 60 * 1000,
	RETRY_BUDGET = 48,		    /* failures of one transfer in all, */
	RETRY_EARN_BYTES = 8 * 1024 * 1024, /* and one more for so many bytes of progress */
};

struct retry_env {
	int64_t (*wall_s)(void *arg);
	uint32_t (*chance)(void *arg); /* evenly over all values */
	/* Sleeps; false when the token fired (cancel may be NULL). */
	bool (*sleep)(void *arg, struct cancel *cancel, int64_t ms);
	void *arg;
};

const struct retry_env *retry_env_real(void);

enum retry_class {
	RETRY_NEVER,
	RETRY_CONNECT,	/* no connection: not for a first question, but within a transfer */
	RETRY_BROKEN,	/* broke off, stalled, no answer */
	RETRY_SERVER,	/* 408, 500, 502, 503, 504 */
	RETRY_THROTTLE, /* 429 */
	RETRY_CLASSES,
};

enum retry_class retry_class_of_status(int status);
enum retry_class retry_class_of_failure(enum http_failure failed);

/* A question is asked while somebody waits for a first answer; a transfer has
 * bytes to lose. */
enum retry_purpose { RETRY_QUESTION, RETRY_TRANSFER };

struct retry {
	enum retry_purpose purpose;
	unsigned failures; /* in a row, without progress */
	unsigned spent;	   /* in all, less what progress has earned back */
	int64_t gained;	   /* bytes of progress that have earned nothing yet */
};

/* Counts a failure. The pause before the next attempt in ms, or -1: give up.
 * retry_after_ms is 0 when the server said nothing. */
int64_t retry_pause(struct retry *r, enum retry_class class, int64_t retry_after_ms, const struct retry_env *env);
/* So many new bytes came over: the next failure is the first again. */
void retry_progress(struct retry *r, int64_t bytes);

/* A Retry-After value, seconds or an HTTP date; 0 when it says nothing. */
int64_t retry_after_ms(const char *value, int64_t now_s);

#endif

/*
 * What the files of the HTTP client share: http_client.c (the thread, its queue),
 * http_exchange.c (the caller's side), http_send.c (its body on the way out),
 * http_callbacks.c (curl's callbacks) and http_failure.c (words).
 *
 * Who may touch what in an exchange: `mu` guards what both sides wait for; the
 * client's mutex guards the queue's fields; the rest belongs to the curl thread
 * until `answered` (headers) or `finished` (failure) is seen under `mu`, and
 * never changes afterwards. Body bytes go through the ring.
 */
#ifndef SERVICE_REGISTRY_HTTP_INTERNAL_H
#define SERVICE_REGISTRY_HTTP_INTERNAL_H

#include <curl/curl.h>
#include <pthread.h>

#include "service/registry/host_tls.h"
#include "service/registry/http.h"
#include "service/registry/netaddr.h"
#include "service/registry/proxy.h"
#include "service/registry/ring.h"

enum {
	HTTP_READ_SIZE = 512 * 1024, /* of one read of a bulk body; half the window */
	HTTP_READ_SIZE_SMALL = 64 * 1024,
};

enum exchange_op {
	OP_START = 1,
	OP_RESUME = 2,
	OP_CLOSE = 4, /* the last: the caller has forgotten the exchange */
};

struct http_client {
	CURLM *multi;
	pthread_t thread;
	int64_t connect_ms, header_ms, stall_ms;
	char *user_agent, *ca_file, *ca_path; /* ca_path may be NULL */
	const char *system_path;	      /* the system's authorities, one by one */
	struct proxies proxies;

	pthread_mutex_t mu;
	struct http_exchange *queue, **queue_end; /* mu: exchanges with ops to run */
	bool stop;				  /* mu */

	struct http_exchange *touched; /* curl thread: got bytes in this round */
};

struct http_exchange {
	struct http_client *client;
	CURL *easy;
	struct curl_slist *headers_out;
	struct bytes body_out;
	struct host_tls *tls; /* NULL: none; the handle points into it */
	char *shown;	      /* `Get "URL"`, for messages */
	char *host;
	bool https, head;
	bool proxied; /* it connects to a proxy, not to the host */
	enum http_reach reach;

	/* the client's mu */
	unsigned ops;
	bool queued;
	struct http_exchange *next;

	/* mu */
	pthread_mutex_t mu;
	pthread_cond_t changed;
	bool answered; /* the headers are complete */
	bool finished; /* nothing comes any more; failure.code tells how it ended */
	bool cancelled, waiting;
	int64_t sent_at;  /* monotonic; 0 until the connection is up */
	int64_t moved_at; /* the body on its way out was last seen to move */
	bool sent_all;	  /* nothing of it is left here */

	/* curl thread, see above */
	bool added, is_touched;
	struct http_exchange *next_touched, *next_run;
	unsigned ops_run;
	char curl_text[CURL_ERROR_SIZE];
	char dialled[NETADDR_TEXT_MAX]; /* the last address that was tried */
	bool forbidden;			/* that address is out of reach */
	struct buf header_text;
	size_t offsets[HTTP_HEADERS_MAX][2]; /* name and value in header_text */
	struct http_header headers[HTTP_HEADERS_MAX];
	struct http_response response;
	struct err failure;
	enum http_failure failed;

	/* the body on its way out: caller → curl thread */
	struct ring outgoing;
	int64_t outgoing_length;
	atomic_bool starved; /* curl waits for bytes; whoever clears it resumes it */
	int64_t moved;	     /* curl thread: bytes at moved_at */

	/* the body: curl thread → caller */
	struct ring ring;
	atomic_bool paused; /* curl waits for room; whoever clears it resumes it */
	size_t held;	    /* caller: bytes of the piece that http_next() gave out */
	int64_t slow_ms;    /* caller: waited in this window of the floor rate, */
	int64_t slow_bytes; /* and what came meanwhile */
};

/* http_client.c: asks the curl thread for something. After OP_CLOSE the exchange
 * is gone for the caller. */
void exchange_post(struct http_exchange *x, enum exchange_op op);

/* http_exchange.c: waits until `ready`, the cancel token (which the caller then sees) or
 * the time; deadline() is asked again after every wake, in monotonic ms. */
enum { NO_DEADLINE = -1 };
enum wait_end { WAIT_READY, WAIT_TIMEOUT };

enum wait_end exchange_wait(struct http_exchange *x, bool (*ready)(const struct http_exchange *x),
			    int64_t (*deadline)(const struct http_exchange *x, int64_t limit), int64_t limit,
			    struct cancel *cancel);

/* http_send.c: before the start, and from then until the source is empty or an answer is
 * there. E_REGISTRY when it stalls, what the source fails with. */
bool exchange_set_source(struct http_exchange *x, const struct http_request *q);
int exchange_send(struct http_exchange *x, const struct http_source *source, struct cancel *cancel,
		  enum http_failure *ret_failed, struct err *err);
/* How long the answer to a body may take. */
int64_t exchange_answer_deadline(const struct http_exchange *x, int64_t limit);

/* http_callbacks.c: curl's side. */
void exchange_set_callbacks(struct http_exchange *x);
void exchange_settle(struct http_exchange *x);			/* after a round with bytes */
void exchange_finish(struct http_exchange *x, CURLcode result); /* the end, either way */
void exchange_free(struct http_exchange *x);

static inline bool exchange_is_crowded(const struct http_exchange *x)
{
	return x->ring.cap >= HTTP_WINDOW && ring_room(&x->ring) < HTTP_READ_SIZE;
}

/* Of the host itself; a proxy's own address is the administrator's choice. */
static inline bool exchange_may_reach(const struct http_exchange *x, enum netaddr_class class)
{
	switch (x->reach) {
	case HTTP_REACH_ANY:
		return true;
	case HTTP_REACH_LOOPBACK:
		return class != NETADDR_LINK_LOCAL;
	default:
		return class == NETADDR_ORDINARY;
	}
}

/* http_tls.c: trust, client certificate, versions. False without memory. */
bool exchange_set_tls(struct http_exchange *x, const struct http_request *q);

/* http_failure.c: fills failure and failed from what curl says. */
void failure_describe(struct http_exchange *x, CURLcode result);
int failure_forbidden(const struct http_exchange *x, const char *address, struct err *err);

#endif

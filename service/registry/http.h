/*
 * HTTP exchanges: one thread drives all of libcurl, callers block.
 *
 * A caller starts an exchange, waits for the status and the headers, decides, and
 * then takes the body piece by piece; a caller that is slow pauses its transfer
 * (at most HTTP_WINDOW bytes are buffered), one that is done closes it. A body that is
 * sent comes from a source, which the caller's thread reads as fast as the server
 * takes it (again at most HTTP_WINDOW bytes are buffered). So status
 * comes before body, and everything above reads as straight code.
 *
 * Redirects are never followed here and no credential is ever attached here:
 * policy lies in request.c. Content-Encoding is never asked for. Connections are
 * reused between exchanges to the same origin with the same TLS settings, one
 * exchange at a time (a paused HTTP/2 stream would hold up its neighbours).
 * Nothing else is kept between exchanges: no cookies, no .netrc, no credentials.
 *
 * Threads: the client from any thread; an exchange belongs to its caller.
 */
#ifndef SERVICE_REGISTRY_HTTP_H
#define SERVICE_REGISTRY_HTTP_H

#include "proto/runtime/buf.h"
#include "proto/runtime/cancel.h"

enum {
	HTTP_WINDOW = 1024 * 1024,
	HTTP_HEADER_BYTES_MAX = 64 * 1024, /* of one response in all */
	HTTP_HEADERS_MAX = 128,
};

struct http_client;
struct http_exchange;
struct host_tls;

struct http_options {
	int64_t connect_timeout_ms;    /* name, TCP and TLS; 0: 30 s */
	int64_t header_timeout_ms;     /* from request to status; 0: 60 s */
	int64_t stall_timeout_ms;      /* no byte while we read or send; 0: 60 s */
	unsigned connections_per_host; /* 0: 24 */
	unsigned connections;	       /* 0: 64 */
	const char *user_agent;	       /* NULL: imaged/VERSION */
	const char *ca_file;	       /* in place of the system's; NULL: system */
	const char *extra_ca_file;     /* beside the system's; not together with ca_file */
};

int http_client_new(const struct http_options *options, struct http_client **ret_client, struct err *err);
void http_client_free(struct http_client *c); /* all exchanges must be closed */

struct url;
/* The proxy that requests to this URL go through, borrowed; NULL: none. */
const char *http_client_proxy(const struct http_client *c, const struct url *u);

struct http_header {
	const char *name, *value;
};

/* Which addresses a request may reach: the address is checked where the socket is
 * opened, after DNS, and again before a kept connection is used. Link-local takes
 * in the metadata services of clouds. A proxy's own address is not checked. */
enum http_reach {
	HTTP_REACH_ANY,	     /* the host was named by the user */
	HTTP_REACH_LOOPBACK, /* all but link-local */
	HTTP_REACH_PUBLIC,   /* neither loopback nor link-local: the host was named by a server */
};

/* How an exchange failed, for those who decide on a retry or another scheme. */
enum http_failure {
	HTTP_FAILED_NOT,
	HTTP_FAILED_RESOLVE,   /* no such host */
	HTTP_FAILED_CONNECT,   /* refused, unreachable, timed out */
	HTTP_FAILED_NOT_TLS,   /* connected, and the peer does not speak TLS */
	HTTP_FAILED_TLS,       /* certificate or handshake */
	HTTP_FAILED_BROKEN,    /* broke off or stalled when connected */
	HTTP_FAILED_FORBIDDEN, /* an address out of reach */
	HTTP_FAILED_LOCAL,     /* memory, cancellation, a limit of ours */
};

/* The bytes of a body. read() gives 1 to `size` of those from `offset` on; it runs on the
 * thread of http_open(), from 0 to the length in order. Another attempt begins at 0 again. */
struct http_source {
	int64_t length;
	int (*read)(void *arg, int64_t offset, uint8_t *data, size_t size, size_t *ret_len, struct err *err);
	void *arg;
};

struct http_request {
	const char *method; /* "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE" */
	const char *url;
	const struct http_header *headers;
	size_t n_headers;
	struct bytes body;		  /* for POST, PUT and PATCH; copied, wiped at the end */
	const struct http_source *source; /* in its place, for what is large; NULL: none */
	bool insecure;			  /* do not verify the certificate */
	struct host_tls *tls;		  /* what is trusted and shown beyond the system's; NULL: nothing */
	bool show_nothing;		  /* no client certificate: this is not the host that it is for */
	int64_t connect_timeout_ms;	  /* 0: the client's */
	bool show_query;		  /* messages tell the URL with its query, in which nothing is secret */
	bool bulk;			  /* a large body is expected: larger reads */
	int64_t timeout_ms;		  /* for all of it; 0: none */
	enum http_reach reach;
	enum http_failure *ret_failure; /* may be NULL; written always */
};

/* A response without its body. Belongs to the exchange. Header values are without
 * surrounding blanks; a repeated header appears several times, in order. */
struct http_response {
	int status;
	const struct http_header *headers;
	size_t n_headers;
	int64_t content_length; /* -1 unknown */
};

/* Sends the request and waits for the status line and the headers. An answer that refuses
 * may come before all of the body is sent. What the source fails with; E_REGISTRY for
 * what fails on the network (the text names host and cause, as docker words it:
 * `Get "URL": dial tcp HOST:PORT: connect: connection refused`), E_TLS when the
 * certificate or the handshake is refused, or when the peer does not speak TLS. */
int http_open(struct http_client *c, const struct http_request *request, struct cancel *cancel,
	      struct http_exchange **ret_exchange, struct err *err);
void http_close(struct http_exchange *x); /* NULL is fine; aborts what still comes */
void http_closep(struct http_exchange **x);

const struct http_response *http_response_of(const struct http_exchange *x);
/* The first header of that name (case does not matter), or NULL. */
const char *http_header_of(const struct http_exchange *x, const char *name);

/* The next piece of the body, valid until the next call. 1 with a piece, 0 at the
 * end of a complete body; E_REGISTRY when it broke off or stalled. */
int http_next(struct http_exchange *x, struct bytes *ret_piece, struct cancel *cancel, struct err *err);

/* Takes the rest of a short body (an error page, a redirect's note) and forgets
 * it, so that the connection can be used again; gives up soon when it is long. */
void http_drain(struct http_exchange *x);

/* The whole body, at most the buffer's maximum (E_LIMIT past it). */
int http_body(struct http_exchange *x, struct buf *out, struct cancel *cancel, struct err *err);

#endif

/* The caller's side of an exchange: set up, wait, take the body. */
#include <assert.h>
#include <stdio.h>
#include <strings.h>

#include "proto/runtime/clock.h"
#include "service/registry/http_internal.h"
#include "service/registry/url.h"

enum {
	DRAIN_MAX = 64 * 1024,
	DRAIN_MS = 2000,
	/* A server that sends a byte now and then makes no progress either: over a
	 * window of so many stall times it must reach a floor of so many bytes/s. */
	FLOOR_WINDOWS = 5,
	FLOOR_BYTES_PER_S = 100,
};

/* ---- set up ---------------------------------------------------------------- */

/* Without a value it is not sent, whatever libcurl would say there. */
static bool add_header(struct http_exchange *x, const char *name, const char *value)
{
	CLEANUP(freep) char *line = format("%s:%s%s", name, *value ? " " : "", value);
	struct curl_slist *list = line ? curl_slist_append(x->headers_out, line) : NULL;

	if (line)
		wipe(line, strlen(line));
	if (list)
		x->headers_out = list;
	return list != NULL;
}

static bool has_header(const struct http_request *q, const char *name)
{
	for (size_t i = 0; i < q->n_headers; i++)
		if (!strcasecmp(q->headers[i].name, name))
			return true;
	return false;
}

/* A body is sent without asking first: nobody waits for a 100 that many servers never
 * send. */
static bool set_headers(struct http_exchange *x, const struct http_request *q)
{
	bool ok = add_header(x, "Accept-Encoding", "identity") && add_header(x, "Expect", "");

	if (ok && !has_header(q, "Content-Type"))
		ok = add_header(x, "Content-Type", "");
	for (size_t i = 0; ok && i < q->n_headers; i++)
		ok = add_header(x, q->headers[i].name, q->headers[i].value);
	curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, x->headers_out);
	return ok;
}

static bool set_body(struct http_exchange *x, const struct http_request *q)
{
	uint8_t *body = malloc(q->body.len + 1);

	if (!body)
		return false;
	if (q->body.len)
		memcpy(body, q->body.data, q->body.len);
	x->body_out = (struct bytes){ body, q->body.len };
	curl_easy_setopt(x->easy, CURLOPT_POST, 1L);
	curl_easy_setopt(x->easy, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(x->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body.len);
	return true;
}

static bool has_body(const char *method)
{
	return !strcmp(method, "POST") || !strcmp(method, "PUT") || !strcmp(method, "PATCH");
}

static bool set_method(struct http_exchange *x, const struct http_request *q)
{
	if (x->head)
		return curl_easy_setopt(x->easy, CURLOPT_NOBODY, 1L) == CURLE_OK;
	if (!has_body(q->method))
		curl_easy_setopt(x->easy, CURLOPT_HTTPGET, 1L);
	else if (!(q->source ? exchange_set_source(x, q) : set_body(x, q)))
		return false;
	return curl_easy_setopt(x->easy, CURLOPT_CUSTOMREQUEST, q->method) == CURLE_OK;
}

static void set_transport(struct http_exchange *x, const struct http_request *q)
{
	const struct http_client *c = x->client;

	curl_easy_setopt(x->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(x->easy, CURLOPT_QUICK_EXIT, 1L); /* a close does not wait for DNS */
	curl_easy_setopt(x->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(x->easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(x->easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(x->easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	curl_easy_setopt(x->easy, CURLOPT_PATH_AS_IS, 1L); /* a signed URL stays as it was signed */
	curl_easy_setopt(x->easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(x->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(x->easy, CURLOPT_USERAGENT, c->user_agent);
	curl_easy_setopt(x->easy, CURLOPT_CONNECTTIMEOUT_MS,
			 (long)(q->connect_timeout_ms > 0 ? q->connect_timeout_ms : c->connect_ms));
	curl_easy_setopt(x->easy, CURLOPT_TIMEOUT_MS, (long)q->timeout_ms);
	curl_easy_setopt(x->easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(x->easy, CURLOPT_BUFFERSIZE, (long)(q->bulk ? HTTP_READ_SIZE : HTTP_READ_SIZE_SMALL));
}

/* Always said, so that libcurl does not read the environment once more. */
static bool set_proxy(struct http_exchange *x, const struct url *u)
{
	const char *proxy = proxies_for(&x->client->proxies, u);

	x->proxied = proxy != NULL;
	return curl_easy_setopt(x->easy, CURLOPT_PROXY, proxy ? proxy : "") == CURLE_OK &&
	       curl_easy_setopt(x->easy, CURLOPT_NOPROXY, "") == CURLE_OK;
}

static int prepare(struct http_exchange *x, const struct http_request *q, struct err *err)
{
	CLEANUP(url_free) struct url u = { 0 };
	int r = url_parse(q->url, &u, err);

	if (r != OK)
		return r;
	x->https = u.https;
	x->head = !strcmp(q->method, "HEAD");
	x->reach = q->reach;
	x->host = strdup(u.host);
	/* One that names a user is never told whole. */
	x->shown = q->show_query && !strchr(q->url, '@') ? url_request_whole(q->method, q->url)
							 : url_request_shown(q->method, q->url);
	/* Here already, as a proxy would connect for us. */
	x->forbidden = !exchange_may_reach(x, netaddr_class_of_host(u.host));
	x->header_text = (struct buf)BUF_INIT(HTTP_HEADER_BYTES_MAX);
	x->easy = curl_easy_init();
	if (!x->host || !x->shown || !x->easy)
		return fail_nomem(err);
	if (curl_easy_setopt(x->easy, CURLOPT_URL, u.text) != CURLE_OK)
		return fail_nomem(err);
	if (x->forbidden)
		return failure_forbidden(x, u.host, err);
	exchange_set_callbacks(x);
	set_transport(x, q);
	return exchange_set_tls(x, q) && set_proxy(x, &u) && set_method(x, q) && set_headers(x, q) ? OK
												   : fail_nomem(err);
}

static struct http_exchange *exchange_new(struct http_client *c)
{
	struct http_exchange *x = calloc(1, sizeof *x);

	if (!x)
		return NULL;
	x->client = c;
	pthread_mutex_init(&x->mu, NULL);
	cond_init_monotonic(&x->changed);
	return x;
}

/* ---- waiting --------------------------------------------------------------- */

static void on_cancel(void *arg)
{
	struct http_exchange *x = arg;

	pthread_mutex_lock(&x->mu);
	x->cancelled = true;
	pthread_cond_signal(&x->changed);
	pthread_mutex_unlock(&x->mu);
}

enum wait_end exchange_wait(struct http_exchange *x, bool (*ready)(const struct http_exchange *x),
			    int64_t (*deadline)(const struct http_exchange *x, int64_t limit), int64_t limit,
			    struct cancel *cancel)
{
	struct cancel_hook hook = { .fn = on_cancel, .arg = x };
	bool late = false;

	pthread_mutex_lock(&x->mu);
	x->cancelled = false; /* of this wait only */
	pthread_mutex_unlock(&x->mu);
	if (cancel)
		cancel_hook(cancel, &hook);
	pthread_mutex_lock(&x->mu);
	x->waiting = true;
	while (!ready(x) && !x->cancelled && !late) {
		int64_t at = deadline(x, limit), now = clock_monotonic_ms();
		struct timespec until = clock_deadline(at - now);

		if (at == NO_DEADLINE)
			pthread_cond_wait(&x->changed, &x->mu);
		else if (now < at)
			pthread_cond_timedwait(&x->changed, &x->mu, &until);
		else
			late = true;
	}
	x->waiting = false;
	pthread_mutex_unlock(&x->mu);
	if (cancel)
		cancel_unhook(cancel, &hook);
	return late ? WAIT_TIMEOUT : WAIT_READY;
}

static bool is_answered(const struct http_exchange *x)
{
	return x->answered || x->finished;
}

/* Until the connection is up, curl's own connect timeout counts; a request that
 * waits for its turn does not time out. */
static int64_t header_deadline(const struct http_exchange *x, int64_t limit)
{
	if (x->outgoing.data)
		return exchange_answer_deadline(x, limit);
	return x->sent_at ? x->sent_at + limit : NO_DEADLINE;
}

static bool has_body_news(const struct http_exchange *x)
{
	return x->finished || ring_used(&x->ring) > 0;
}

static int64_t fixed_deadline(const struct http_exchange *x, int64_t limit)
{
	(void)x;
	return limit;
}

/* ---- the interface --------------------------------------------------------- */

static int seconds(int64_t ms)
{
	return (int)((ms + 999) / 1000);
}

static int await_answer(struct http_exchange *x, struct cancel *cancel, enum http_failure *ret_failed, struct err *err)
{
	enum wait_end end = exchange_wait(x, is_answered, header_deadline, x->client->header_ms, cancel);
	int r = cancel_check(cancel, err);

	*ret_failed = HTTP_FAILED_LOCAL;
	if (r != OK)
		return r;
	*ret_failed = HTTP_FAILED_BROKEN;
	if (end == WAIT_TIMEOUT)
		return fail(err, E_REGISTRY, "%s: no answer within %d s", x->shown, seconds(x->client->header_ms));
	if (x->answered)
		return OK;
	if (x->failed == HTTP_FAILED_NOT)
		return fail(err, E_REGISTRY, "%s: EOF", x->shown);
	*ret_failed = x->failed;
	if (err)
		*err = x->failure;
	return x->failure.code;
}

int http_open(struct http_client *c, const struct http_request *request, struct cancel *cancel,
	      struct http_exchange **ret_exchange, struct err *err)
{
	struct http_exchange *x = exchange_new(c);
	enum http_failure ignored = HTTP_FAILED_NOT, *failed = request->ret_failure ? request->ret_failure : &ignored;
	int r;

	*failed = HTTP_FAILED_LOCAL;
	if (!x)
		return fail_nomem(err);
	r = prepare(x, request, err);
	if (r == OK)
		r = cancel_check(cancel, err);
	if (x->forbidden)
		*failed = HTTP_FAILED_FORBIDDEN;
	if (r != OK) {
		exchange_free(x);
		return r;
	}
	exchange_post(x, OP_START);
	if (request->source)
		r = exchange_send(x, request->source, cancel, failed, err);
	if (r == OK)
		r = await_answer(x, cancel, failed, err);
	if (r != OK) {
		http_close(x);
		return r;
	}
	*failed = HTTP_FAILED_NOT;
	*ret_exchange = x;
	return OK;
}

void http_close(struct http_exchange *x)
{
	if (x)
		exchange_post(x, OP_CLOSE);
}

void http_closep(struct http_exchange **x)
{
	http_close(*x);
}

const struct http_response *http_response_of(const struct http_exchange *x)
{
	return &x->response;
}

const char *http_header_of(const struct http_exchange *x, const char *name)
{
	for (size_t i = 0; i < x->response.n_headers; i++)
		if (!strcasecmp(x->headers[i].name, name))
			return x->headers[i].value;
	return NULL;
}

static void release_held(struct http_exchange *x)
{
	if (!x->held)
		return;
	ring_drop(&x->ring, x->held);
	x->held = 0;
	if (!exchange_is_crowded(x) && atomic_exchange(&x->paused, false))
		exchange_post(x, OP_RESUME);
}

static bool below_floor(struct http_exchange *x, int64_t waited_ms)
{
	int64_t window = x->client->stall_ms * FLOOR_WINDOWS;
	bool below;

	x->slow_ms += waited_ms;
	if (x->slow_ms < window)
		return false;
	below = x->slow_bytes < window * FLOOR_BYTES_PER_S / 1000;
	x->slow_ms = x->slow_bytes = 0;
	return below;
}

static int stalled(const struct http_exchange *x, struct err *err)
{
	return fail(err, E_REGISTRY, "%s: the transfer stalled: too few bytes in %d s", x->shown,
		    seconds(x->client->stall_ms));
}

static int await_bytes(struct http_exchange *x, int64_t until, struct cancel *cancel, struct err *err)
{
	int64_t from = clock_monotonic_ms();
	enum wait_end end = exchange_wait(x, has_body_news, fixed_deadline, until, cancel);
	int r = cancel_check(cancel, err);

	if (r != OK)
		return r;
	return end == WAIT_TIMEOUT || below_floor(x, clock_monotonic_ms() - from) ? stalled(x, err) : OK;
}

/* 1 with a piece, 0 at the end, else the failure; what came before a failure is
 * handed out first. */
static int next_until(struct http_exchange *x, struct bytes *ret_piece, int64_t until, struct cancel *cancel,
		      struct err *err)
{
	int r = cancel_check(cancel, err);

	if (r != OK)
		return r;
	release_held(x);
	if (!ring_used(&x->ring)) {
		r = await_bytes(x, until, cancel, err);
		if (r != OK)
			return r;
	}
	if (ring_used(&x->ring)) {
		*ret_piece = ring_peek(&x->ring);
		x->held = ret_piece->len;
		x->slow_bytes += (int64_t)x->held;
		return 1;
	}
	if (x->failed == HTTP_FAILED_NOT)
		return 0;
	if (err)
		*err = x->failure;
	return x->failure.code;
}

int http_next(struct http_exchange *x, struct bytes *ret_piece, struct cancel *cancel, struct err *err)
{
	return next_until(x, ret_piece, clock_monotonic_ms() + x->client->stall_ms, cancel, err);
}

int http_body(struct http_exchange *x, struct buf *out, struct cancel *cancel, struct err *err)
{
	struct bytes piece = { 0 };
	int r;

	while ((r = http_next(x, &piece, cancel, err)) == 1) {
		if (piece.len > out->max - out->len)
			return fail(err, E_LIMIT, "%s: the response is longer than %zu bytes", x->shown, out->max);
		if (!buf_append(out, piece.data, piece.len))
			return fail_nomem(err);
	}
	return r;
}

void http_drain(struct http_exchange *x)
{
	int64_t until = clock_monotonic_ms() + DRAIN_MS;
	struct bytes piece = { 0 };
	size_t taken = 0;

	if (x->response.content_length > DRAIN_MAX)
		return;
	while (taken <= DRAIN_MAX && next_until(x, &piece, until, NULL, NULL) == 1)
		taken += piece.len;
}

/* The curl thread's side of an exchange: callbacks, pausing, the end. */
#include <stdio.h>
#include <strings.h>

#include "proto/runtime/clock.h"
#include "service/registry/http_internal.h"

static void wake(struct http_exchange *x)
{
	if (x->waiting)
		pthread_cond_signal(&x->changed);
}

static size_t refuse(struct http_exchange *x, const char *why)
{
	x->failed = HTTP_FAILED_LOCAL;
	fail(&x->failure, E_LIMIT, "%s: %s", x->shown, why);
	return 0; /* curl ends the transfer with CURLE_WRITE_ERROR */
}

/* ---- headers --------------------------------------------------------------- */

static struct bytes trim(struct bytes b)
{
	while (b.len && (b.data[0] == ' ' || b.data[0] == '\t'))
		b = (struct bytes){ b.data + 1, b.len - 1 };
	while (b.len && strchr(" \t\r\n", b.data[b.len - 1]))
		b.len--;
	return b;
}

static size_t keep_header(struct http_exchange *x, struct bytes line, size_t colon)
{
	struct bytes value = trim((struct bytes){ line.data + colon + 1, line.len - colon - 1 });
	size_t *at = x->offsets[x->response.n_headers];

	if (memchr(line.data, 0, line.len))
		return refuse(x, "malformed HTTP response: NUL in a header");
	if (x->response.n_headers >= HTTP_HEADERS_MAX)
		return refuse(x, "the response has too many headers");
	at[0] = x->header_text.len;
	buf_append(&x->header_text, line.data, colon);
	buf_putc(&x->header_text, 0);
	at[1] = x->header_text.len;
	buf_append(&x->header_text, value.data, value.len);
	buf_putc(&x->header_text, 0);
	if (!buf_ok(&x->header_text))
		return refuse(x, "the response's headers are too long");
	x->response.n_headers++;
	return line.len;
}

static bool is_named(const struct http_header *h, const char *name)
{
	return !strcasecmp(h->name, name);
}

/* Digits only; with chunks the length is not known whatever a header says. */
static int64_t content_length(const struct http_exchange *x)
{
	int64_t length = -1;

	for (size_t i = 0; i < x->response.n_headers; i++) {
		const struct http_header *h = &x->headers[i];
		size_t n = strspn(h->value, "0123456789");

		if (is_named(h, "Transfer-Encoding"))
			return -1;
		if (is_named(h, "Content-Length"))
			length = n && !h->value[n] && n <= 18 ? strtoll(h->value, NULL, 10) : -1;
	}
	return length;
}

static void answer(struct http_exchange *x, long status)
{
	for (size_t i = 0; i < x->response.n_headers; i++) {
		const char *text = buf_text(&x->header_text);

		x->headers[i] = (struct http_header){ text + x->offsets[i][0], text + x->offsets[i][1] };
	}
	x->response.headers = x->headers;
	x->response.status = (int)status;
	x->response.content_length = content_length(x);
	pthread_mutex_lock(&x->mu);
	x->answered = true;
	wake(x);
	pthread_mutex_unlock(&x->mu);
}

static size_t headers_end(struct http_exchange *x, size_t len)
{
	long status = 0;

	curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status >= 200)
		answer(x, status);
	return len;
}

/* One line, the status line first. `answered` is ours to read: only we set it. */
static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
	struct http_exchange *x = arg;
	struct bytes line = { (const uint8_t *)data, size * n };
	const uint8_t *colon;

	if (x->answered) /* a trailer */
		return line.len;
	if (line.len >= 5 && !memcmp(data, "HTTP/", 5)) {
		x->response.n_headers = 0;
		buf_reset(&x->header_text);
		return line.len;
	}
	if (!trim(line).len)
		return headers_end(x, line.len);
	colon = memchr(line.data, ':', line.len);
	if (!colon || data[0] == ' ' || data[0] == '\t')
		return line.len; /* no header, or the old folding: nothing of ours is folded */
	return keep_header(x, line, (size_t)(colon - line.data));
}

/* ---- the body -------------------------------------------------------------- */

static void touch(struct http_exchange *x)
{
	if (x->is_touched)
		return;
	x->is_touched = true;
	x->next_touched = x->client->touched;
	x->client->touched = x;
}

/* Says that curl must wait for room. The caller may have made room before it could
 * see that: then nobody else will resume, and true says to go on. */
static bool pause_is_void(struct http_exchange *x, size_t need)
{
	atomic_store(&x->paused, true);
	return ring_room(&x->ring) >= need && atomic_exchange(&x->paused, false);
}

static size_t ring_size(const struct http_exchange *x)
{
	int64_t length = x->response.content_length;

	return length > 0 && length < HTTP_WINDOW ? (size_t)length : HTTP_WINDOW;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct http_exchange *x = arg;
	size_t len = size * n;

	if (!x->ring.data && !ring_init(&x->ring, ring_size(x)))
		return refuse(x, "out of memory");
	if (len > x->ring.cap)
		return refuse(x, "the response is longer than it said");
	if (ring_room(&x->ring) < len && !pause_is_void(x, len))
		return CURL_WRITEFUNC_PAUSE;
	ring_put(&x->ring, data, len);
	touch(x);
	return len;
}

/* Reading goes on only where a whole read fits: what curl has read and cannot
 * deliver it copies aside. */
void exchange_settle(struct http_exchange *x)
{
	if (x->added && exchange_is_crowded(x) && !atomic_load(&x->paused) && !pause_is_void(x, HTTP_READ_SIZE))
		curl_easy_pause(x->easy, CURLPAUSE_RECV);
	pthread_mutex_lock(&x->mu);
	wake(x);
	pthread_mutex_unlock(&x->mu);
}

/* ---- the body on its way out ------------------------------------------------ */

/* As pause_is_void(), the other way round. */
static bool starving_is_void(struct http_exchange *x)
{
	atomic_store(&x->starved, true);
	return ring_used(&x->outgoing) && atomic_exchange(&x->starved, false);
}

static size_t on_send(char *data, size_t size, size_t n, void *arg)
{
	struct http_exchange *x = arg;
	struct bytes piece;
	size_t len = size * n;

	if (!ring_used(&x->outgoing) && !starving_is_void(x))
		return CURL_READFUNC_PAUSE;
	piece = ring_peek(&x->outgoing);
	if (piece.len < len)
		len = piece.len;
	memcpy(data, piece.data, len);
	ring_drop(&x->outgoing, len);
	touch(x);
	return len;
}

/* libcurl takes large pieces and sends them in small ones: only it knows what moves. A
 * server that takes a byte now and then makes no progress. */
static int on_progress(void *arg, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up_now)
{
	enum { MOVE_MIN = 4096 };
	struct http_exchange *x = arg;

	(void)total;
	(void)now;
	(void)up_total;
	if (up_now - x->moved < MOVE_MIN && (up_now < x->outgoing_length || up_now == x->moved))
		return 0;
	x->moved = up_now;
	pthread_mutex_lock(&x->mu);
	x->moved_at = clock_monotonic_ms();
	x->sent_all = up_now >= x->outgoing_length;
	pthread_mutex_unlock(&x->mu);
	return 0;
}

/* ---- the connection -------------------------------------------------------- */

/* curl knows ::1 for localhost whatever the machine's files say: it is told only when nothing
 * else is. */
static void note_dialled(struct http_exchange *x, const struct curl_sockaddr *a)
{
	char text[sizeof x->dialled];

	netaddr_text(&a->addr, text);
	if (x->forbidden || !x->dialled[0] || strncmp(text, "[::1]", 5) != 0)
		memcpy(x->dialled, text, sizeof text);
}

static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct http_exchange *x = arg;

	(void)purpose;
	x->forbidden = !x->proxied && !exchange_may_reach(x, netaddr_class_of(&a->addr));
	note_dialled(x, a);
	if (x->forbidden)
		return CURL_SOCKET_BAD;
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

/* Before the request goes out, also on a connection that was kept. */
static int on_connected(void *arg, char *peer, char *local, int peer_port, int local_port)
{
	struct http_exchange *x = arg;

	(void)local;
	(void)peer_port;
	(void)local_port;
	if (!x->proxied && !exchange_may_reach(x, netaddr_class_of_host(peer))) {
		snprintf(x->dialled, sizeof x->dialled, "%s", peer);
		x->forbidden = true;
		return CURL_PREREQFUNC_ABORT;
	}
	pthread_mutex_lock(&x->mu);
	x->sent_at = x->moved_at = clock_monotonic_ms();
	wake(x);
	pthread_mutex_unlock(&x->mu);
	return CURL_PREREQFUNC_OK;
}

void exchange_set_callbacks(struct http_exchange *x)
{
	curl_easy_setopt(x->easy, CURLOPT_PRIVATE, x);
	curl_easy_setopt(x->easy, CURLOPT_ERRORBUFFER, x->curl_text);
	curl_easy_setopt(x->easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(x->easy, CURLOPT_HEADERDATA, x);
	curl_easy_setopt(x->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(x->easy, CURLOPT_WRITEDATA, x);
	curl_easy_setopt(x->easy, CURLOPT_READFUNCTION, on_send);
	curl_easy_setopt(x->easy, CURLOPT_READDATA, x);
	curl_easy_setopt(x->easy, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(x->easy, CURLOPT_XFERINFODATA, x);
	curl_easy_setopt(x->easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	curl_easy_setopt(x->easy, CURLOPT_OPENSOCKETDATA, x);
	curl_easy_setopt(x->easy, CURLOPT_PREREQFUNCTION, on_connected);
	curl_easy_setopt(x->easy, CURLOPT_PREREQDATA, x);
}

void exchange_finish(struct http_exchange *x, CURLcode result)
{
	if (result != CURLE_OK && x->failed == HTTP_FAILED_NOT)
		failure_describe(x, result);
	if (x->added)
		curl_multi_remove_handle(x->client->multi, x->easy);
	x->added = false;
	pthread_mutex_lock(&x->mu);
	x->finished = true;
	wake(x);
	pthread_mutex_unlock(&x->mu);
}

static void wipe_headers(struct curl_slist *list)
{
	for (struct curl_slist *h = list; h; h = h->next)
		wipe(h->data, strlen(h->data));
	curl_slist_free_all(list);
}

void exchange_free(struct http_exchange *x)
{
	if (!x)
		return;
	if (x->easy)
		curl_easy_cleanup(x->easy);
	host_tls_unref(x->tls);
	wipe_headers(x->headers_out);
	wipe((void *)(uintptr_t)x->body_out.data, x->body_out.len);
	free((void *)(uintptr_t)x->body_out.data);
	free(x->shown);
	free(x->host);
	buf_free(&x->header_text);
	ring_free(&x->ring);
	ring_free(&x->outgoing);
	pthread_cond_destroy(&x->changed);
	pthread_mutex_destroy(&x->mu);
	free(x);
}

/* The HTTP client by itself: order of things, bounds, timeouts, cancellation. */
#include <dirent.h>
#include <dlfcn.h>
#include <netdb.h>
#include <stdatomic.h>

#include "proto/runtime/clock.h"
#include "service/registry/http.h"
#include "tests/unit/registry/fake.h"
#include "tests/unit/types/unit.h"

enum { BIG = 8 * 1024 * 1024 };

struct rig {
	struct http_client *client;
	struct fake *fake;
	struct err err;
	enum http_failure failed;
};

static struct rig start(fake_handler *handler, const void *arg, struct http_options o)
{
	struct rig r = { 0 };

	if (!o.connect_timeout_ms)
		o.connect_timeout_ms = 5000;
	assert_ok(http_client_new(&o, &r.client, &r.err), &r.err);
	r.fake = fake_start(FAKE_PLAIN, handler, (void *)(uintptr_t)arg);
	return r;
}

static void stop(struct rig *r)
{
	http_client_free(r->client);
	fake_stop(r->fake);
}

static int open_with(struct rig *r, struct http_request q, const char *path, struct cancel *cancel,
		     struct http_exchange **ret)
{
	CLEANUP(freep) char *url = format("http://%s%s", fake_authority(r->fake), path);

	q.url = url;
	if (!q.method)
		q.method = "GET";
	q.ret_failure = &r->failed;
	return http_open(r->client, &q, cancel, ret, &r->err);
}

static struct http_exchange *opened(struct rig *r, const char *path)
{
	struct http_exchange *x = NULL;

	assert_ok(open_with(r, (struct http_request){ 0 }, path, NULL, &x), &r->err);
	return x;
}

static int body_of(struct rig *r, struct http_exchange *x, struct buf *b)
{
	return http_body(x, b, NULL, &r->err);
}

/* ---- handlers -------------------------------------------------------------- */

static void hello(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	(void)arg;
	fake_text(c, q, 200, "X-One:  1 \r\nx-two: a\r\nX-TWO: b\r\n", "hello");
}

static void big(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	static uint8_t data[BIG];

	(void)arg;
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 31 + (i >> 13));
	fake_reply(c, q, 200, "", data, sizeof data);
}

static void say(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	(void)q;
	fake_puts(c, arg);
	fake_hang_up(c);
}

static void say_and_stall(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	(void)q;
	fake_puts(c, arg);
	fake_stall(c);
}

/* ---- order ----------------------------------------------------------------- */

static void open_returns_with_status_before_any_body(void **state)
{
	struct rig r = start(say_and_stall, "HTTP/1.1 404 Nope\r\nContent-Length: 5\r\n\r\n",
			     (struct http_options){ 0 });
	struct http_exchange *x = opened(&r, "/");

	(void)state;
	assert_int_equal(http_response_of(x)->status, 404);
	assert_int_equal(http_response_of(x)->content_length, 5);
	http_close(x);
	stop(&r);
}

static void headers_are_trimmed_kept_in_order_and_found_without_case(void **state)
{
	struct rig r = start(hello, NULL, (struct http_options){ 0 });
	struct http_exchange *x = opened(&r, "/");
	CLEANUP(buf_free) struct buf b = BUF_INIT(100);

	(void)state;
	assert_string_equal(http_header_of(x, "x-one"), "1");
	assert_string_equal(http_header_of(x, "X-Two"), "a");
	assert_int_equal(http_response_of(x)->n_headers, 4);
	assert_string_equal(http_response_of(x)->headers[2].value, "b");
	assert_ok(body_of(&r, x, &b), &r.err);
	assert_string_equal(buf_text(&b), "hello");
	http_close(x);
	stop(&r);
}

static void interim_responses_are_not_the_answer(void **state)
{
	struct rig r = start(
		say, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		(struct http_options){ 0 });
	struct http_exchange *x = opened(&r, "/");

	(void)state;
	assert_int_equal(http_response_of(x)->status, 200);
	assert_null(http_header_of(x, "Link"));
	http_close(x);
	stop(&r);
}

static void requests_ask_for_identity_and_carry_no_state(void **state)
{
	struct rig r = start(say, "HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n",
			     (struct http_options){ 0 });
	struct fake_request q;

	(void)state;
	http_close(opened(&r, "/one"));
	http_close(opened(&r, "/two"));
	assert_true(fake_last(r.fake, "GET", "/two", &q));
	assert_string_equal(fake_header(&q, "Accept-Encoding"), "identity");
	assert_string_equal(fake_header(&q, "User-Agent"), "imaged/" IMAGED_VERSION);
	assert_null(fake_header(&q, "Cookie"));
	assert_null(fake_header(&q, "Authorization"));
	stop(&r);
}

static void post_sends_its_body(void **state)
{
	struct rig r = start(hello, NULL, (struct http_options){ 0 });
	struct http_exchange *x = NULL;
	struct fake_request q;

	(void)state;
	assert_ok(open_with(&r, (struct http_request){ .method = "POST", .body = bytes_of("a=b&c=d") }, "/p", NULL, &x),
		  &r.err);
	assert_true(fake_last(r.fake, "POST", "/p", &q));
	assert_string_equal(q.body, "a=b&c=d");
	http_close(x);
	stop(&r);
}

static void redirects_are_not_followed(void **state)
{
	struct rig r = start(say, "HTTP/1.1 307 Go\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
			     (struct http_options){ 0 });
	struct http_exchange *x = opened(&r, "/");

	(void)state;
	assert_int_equal(http_response_of(x)->status, 307);
	assert_string_equal(http_header_of(x, "Location"), "/elsewhere");
	assert_int_equal(fake_count(r.fake, "", ""), 1);
	http_close(x);
	stop(&r);
}

/* ---- bodies ---------------------------------------------------------------- */

static void large_body_arrives_whole_through_the_ring(void **state)
{
	struct rig r = start(big, NULL, (struct http_options){ 0 });
	struct http_exchange *x = NULL;
	struct bytes piece;
	size_t at = 0;
	int n;

	(void)state;
	assert_ok(open_with(&r, (struct http_request){ .bulk = true }, "/", NULL, &x), &r.err);
	while ((n = http_next(x, &piece, NULL, &r.err)) == 1) {
		assert_in_range(piece.len, 1, HTTP_WINDOW);
		for (size_t i = 0; i < piece.len; i++, at++)
			if (piece.data[i] != (uint8_t)(at * 31 + (at >> 13)))
				failed("byte %zu differs", at);
	}
	assert_int_equal(n, 0);
	assert_int_equal(at, BIG);
	http_close(x);
	stop(&r);
}

static atomic_size_t endless_sent;

static void endless(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	static const char data[64 * 1024] = { 0 };

	(void)q;
	(void)arg;
	atomic_store(&endless_sent, 0);
	fake_puts(c, "HTTP/1.1 200 OK\r\n\r\n");
	while (fake_send(c, data, sizeof data))
		atomic_fetch_add(&endless_sent, sizeof data);
}

/* The kernel's socket buffers hold some megabytes beside our window; what is tested
 * is that the flow stops at all. */
static void slow_reader_stops_the_sender(void **state)
{
	struct rig r = start(endless, NULL, (struct http_options){ 0 });
	struct http_exchange *x = opened(&r, "/");
	struct cancel *never = cancel_new();
	struct bytes piece;
	size_t before, after;

	(void)state;
	assert_int_equal(http_next(x, &piece, NULL, &r.err), 1);
	do {
		before = atomic_load(&endless_sent);
		cancel_wait(never, 300);
		after = atomic_load(&endless_sent);
	} while (before != after);
	assert_in_range(after, HTTP_WINDOW / 2, 64 * 1024 * 1024);
	for (size_t got = 0; got < after + HTTP_WINDOW; got += piece.len)
		assert_int_equal(http_next(x, &piece, NULL, &r.err), 1);
	http_close(x);
	cancel_unref(never);
	stop(&r);
}

static void chunked_body_needs_no_length(void **state)
{
	struct rig r = start(say,
			     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 99\r\n\r\n"
			     "3\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: t\r\n\r\n",
			     (struct http_options){ 0 });
	struct http_exchange *x = opened(&r, "/");
	CLEANUP(buf_free) struct buf b = BUF_INIT(100);

	(void)state;
	assert_int_equal(http_response_of(x)->content_length, -1);
	assert_ok(body_of(&r, x, &b), &r.err);
	assert_string_equal(buf_text(&b), "abcde");
	assert_null(http_header_of(x, "X-Trailer"));
	http_close(x);
	stop(&r);
}

static void http_1_0_body_ends_with_the_connection(void **state)
{
	struct rig r = start(say, "HTTP/1.0 200 OK\r\n\r\nold", (struct http_options){ 0 });
	struct http_exchange *x = opened(&r, "/");
	CLEANUP(buf_free) struct buf b = BUF_INIT(100);

	(void)state;
	assert_ok(body_of(&r, x, &b), &r.err);
	assert_string_equal(buf_text(&b), "old");
	http_close(x);
	stop(&r);
}

/* c-style.md A12 */
static void body_may_hold_nul_bytes(void **state)
{
	struct rig r = start(big, NULL, (struct http_options){ 0 });
	struct http_exchange *x = opened(&r, "/");
	CLEANUP(buf_free) struct buf b = BUF_INIT(BIG);

	(void)state;
	assert_ok(body_of(&r, x, &b), &r.err);
	assert_int_equal(b.len, BIG);
	assert_int_equal(b.data[0], 0);
	http_close(x);
	stop(&r);
}

/* c-style.md A11 */
static void body_past_the_maximum_is_refused_not_cut(void **state)
{
	struct rig r = start(hello, NULL, (struct http_options){ 0 });
	struct http_exchange *x = opened(&r, "/");
	CLEANUP(buf_free) struct buf b = BUF_INIT(4);

	(void)state;
	assert_int_equal(body_of(&r, x, &b), E_LIMIT);
	http_close(x);
	stop(&r);
}

static void short_body_gives_its_bytes_then_fails(void **state)
{
	struct rig r = start(say, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", (struct http_options){ 0 });
	struct http_exchange *x = opened(&r, "/");
	struct bytes piece;

	(void)state;
	assert_int_equal(http_next(x, &piece, NULL, &r.err), 1);
	assert_int_equal(piece.len, 3);
	assert_int_equal(http_next(x, &piece, NULL, &r.err), E_REGISTRY);
	assert_non_null(strstr(r.err.text, "unexpected EOF"));
	http_close(x);
	stop(&r);
}

static void bytes_past_the_length_are_not_the_body(void **state)
{
	struct rig r = start(say, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef", (struct http_options){ 0 });
	struct http_exchange *x = opened(&r, "/");
	CLEANUP(buf_free) struct buf b = BUF_INIT(100);

	(void)state;
	assert_ok(body_of(&r, x, &b), &r.err);
	assert_string_equal(buf_text(&b), "abc");
	http_close(x);
	stop(&r);
}

/* ---- bounds ---------------------------------------------------------------- */

static void flood(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	const size_t *n = arg;
	bool ok = fake_puts(c, "HTTP/1.1 200 OK\r\n");

	(void)q;
	for (size_t i = 0; ok && i < *n; i++)
		ok = fake_puts(c, "X-Flood: 0123456789012345678901234567890123456789\r\n");
	fake_puts(c, "Content-Length: 0\r\n\r\n");
}

static void header_floods_are_refused(void **state)
{
	size_t n = HTTP_HEADERS_MAX + 1;
	struct rig r = start(flood, &n, (struct http_options){ 0 });
	struct http_exchange *x = NULL;

	(void)state;
	assert_int_equal(open_with(&r, (struct http_request){ 0 }, "/", NULL, &x), E_LIMIT);
	assert_non_null(strstr(r.err.text, "too many headers"));
	assert_int_equal(r.failed, HTTP_FAILED_LOCAL);
	stop(&r);
}

static void long_header(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	static char line[HTTP_HEADER_BYTES_MAX + 100];

	(void)arg;
	(void)q;
	memset(line, 'x', sizeof line - 1);
	fake_puts(c, "HTTP/1.1 200 OK\r\nX-Long: ");
	fake_puts(c, line);
	fake_puts(c, "\r\nContent-Length: 0\r\n\r\n");
}

static void long_headers_are_refused(void **state)
{
	struct rig r = start(long_header, NULL, (struct http_options){ 0 });
	struct http_exchange *x = NULL;

	(void)state;
	assert_int_equal(open_with(&r, (struct http_request){ 0 }, "/", NULL, &x), E_LIMIT);
	stop(&r);
}

static void nonsense_lengths_count_as_unknown(void **state)
{
	struct rig r = start(say, "HTTP/1.0 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nx",
			     (struct http_options){ 0 });
	struct http_exchange *x = NULL;
	int code = open_with(&r, (struct http_request){ 0 }, "/", NULL, &x);

	(void)state;
	if (code == OK)
		assert_int_equal(http_response_of(x)->content_length, -1);
	http_close(x);
	stop(&r);
}

/* ---- failures in words ----------------------------------------------------- */

static void refused_connection_reads_like_docker(void **state)
{
	struct rig r = start(hello, NULL, (struct http_options){ 0 });
	unsigned port = free_port();
	CLEANUP(freep) char *url = format("http://127.0.0.1:%u/v2/?secret=1", port);
	CLEANUP(freep)
	char *text = format("Get \"http://127.0.0.1:%u/v2/\": dial tcp 127.0.0.1:%u: connect: connection refused", port,
			    port);
	struct http_request q = { .method = "GET", .url = url, .ret_failure = &r.failed };
	struct http_exchange *x;

	(void)state;
	assert_int_equal(http_open(r.client, &q, NULL, &x, &r.err), E_REGISTRY);
	assert_string_equal(r.err.text, text);
	assert_int_equal(r.failed, HTTP_FAILED_CONNECT);
	stop(&r);
}

static void unknown_host_reads_like_docker(void **state)
{
	struct rig r = start(hello, NULL, (struct http_options){ 0 });
	struct http_request q = { .method = "HEAD", .url = "http://nowhere.invalid/v2/", .ret_failure = &r.failed };
	struct http_exchange *x;

	(void)state;
	assert_int_equal(http_open(r.client, &q, NULL, &x, &r.err), E_REGISTRY);
	assert_string_equal(r.err.text,
			    "Head \"http://nowhere.invalid/v2/\": dial tcp: lookup nowhere.invalid: no such host");
	assert_int_equal(r.failed, HTTP_FAILED_RESOLVE);
	stop(&r);
}

static void reset_me(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	(void)q;
	(void)arg;
	fake_reset(c);
}

static void reset_connection_is_a_broken_exchange(void **state)
{
	struct rig r = start(reset_me, NULL, (struct http_options){ 0 });
	struct http_exchange *x = NULL;

	(void)state;
	assert_int_equal(open_with(&r, (struct http_request){ 0 }, "/", NULL, &x), E_REGISTRY);
	assert_int_equal(r.failed, HTTP_FAILED_BROKEN);
	assert_non_null(strstr(r.err.text, "connection reset by peer"));
	stop(&r);
}

static void server_that_hangs_up_gives_eof(void **state)
{
	struct rig r = start(say, "", (struct http_options){ 0 });
	struct http_exchange *x = NULL;

	(void)state;
	assert_int_equal(open_with(&r, (struct http_request){ 0 }, "/", NULL, &x), E_REGISTRY);
	assert_non_null(strstr(r.err.text, "EOF"));
	stop(&r);
}

static void garbage_is_no_answer(void **state)
{
	struct rig r = start(say, "\001\002garbage\r\n\r\n", (struct http_options){ 0 });
	struct http_exchange *x = NULL;

	(void)state;
	assert_int_equal(open_with(&r, (struct http_request){ 0 }, "/", NULL, &x), E_REGISTRY);
	assert_non_null(strstr(r.err.text, "malformed HTTP response"));
	stop(&r);
}

static void urls_with_users_or_other_schemes_are_refused(void **state)
{
	static const char *const bad[] = { "http://user:pw@127.0.0.1/", "file:///etc/passwd", "ftp://127.0.0.1/", "" };
	struct rig r = start(hello, NULL, (struct http_options){ 0 });

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct http_request q = { .method = "GET", .url = bad[i] };
		struct http_exchange *x;

		assert_int_equal(http_open(r.client, &q, NULL, &x, &r.err), E_INVALID);
		assert_null(strstr(r.err.text, "pw"));
	}
	stop(&r);
}

/* ---- time ------------------------------------------------------------------ */

/* c-style.md A24: deadlines are monotonic; nobody polls */
static void silent_server_runs_into_the_header_timeout(void **state)
{
	struct rig r = start(say_and_stall, "", (struct http_options){ .header_timeout_ms = 100 });
	struct http_exchange *x = NULL;

	(void)state;
	assert_int_equal(open_with(&r, (struct http_request){ 0 }, "/", NULL, &x), E_REGISTRY);
	assert_non_null(strstr(r.err.text, "no answer within"));
	assert_int_equal(r.failed, HTTP_FAILED_BROKEN);
	stop(&r);
}

static void stalled_body_runs_into_the_stall_timeout(void **state)
{
	struct rig r = start(say_and_stall, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
			     (struct http_options){ .stall_timeout_ms = 100 });
	struct http_exchange *x = opened(&r, "/");
	struct bytes piece;

	(void)state;
	assert_int_equal(http_next(x, &piece, NULL, &r.err), 1);
	assert_int_equal(http_next(x, &piece, NULL, &r.err), E_REGISTRY);
	assert_non_null(strstr(r.err.text, "stalled"));
	http_close(x);
	stop(&r);
}

static void trickle(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	struct cancel *never = cancel_new();

	(void)q;
	(void)arg;
	fake_puts(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
	while (fake_puts(c, "x"))
		cancel_wait(never, 40);
	cancel_unref(never);
}

static void trickling_server_runs_into_the_floor_rate(void **state)
{
	struct rig r = start(trickle, NULL, (struct http_options){ .stall_timeout_ms = 100 });
	struct http_exchange *x = opened(&r, "/");
	struct bytes piece;
	int n;

	(void)state;
	while ((n = http_next(x, &piece, NULL, &r.err)) == 1)
		;
	assert_int_equal(n, E_REGISTRY);
	assert_non_null(strstr(r.err.text, "stalled"));
	http_close(x);
	stop(&r);
}

/* ---- cancellation ---------------------------------------------------------- */

struct canceller {
	pthread_t thread;
	struct cancel *cancel;
	struct fake *fake;
};

static void *fire_when_asked(void *arg)
{
	struct canceller *c = arg;
	struct cancel *pause = cancel_new();

	while (!fake_count(c->fake, "", ""))
		cancel_wait(pause, 5);
	cancel_wait(pause, 30); /* so that the caller is most likely waiting; right either way */
	cancel_fire(c->cancel, E_CANCELLED);
	cancel_unref(pause);
	return NULL;
}

static void cancel_ends_a_waiting_open(void **state)
{
	struct rig r = start(say_and_stall, "", (struct http_options){ 0 });
	struct canceller c = { .cancel = cancel_new(), .fake = r.fake };
	struct http_exchange *x = NULL;
	int64_t begin = clock_monotonic_ms();

	(void)state;
	pthread_create(&c.thread, NULL, fire_when_asked, &c);
	assert_int_equal(open_with(&r, (struct http_request){ 0 }, "/", c.cancel, &x), E_CANCELLED);
	assert_in_range(clock_monotonic_ms() - begin, 0, 2000);
	pthread_join(c.thread, NULL);
	cancel_unref(c.cancel);
	stop(&r);
}

static void cancel_ends_a_waiting_read(void **state)
{
	struct rig r = start(say_and_stall, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
			     (struct http_options){ 0 });
	struct canceller c = { .cancel = cancel_new(), .fake = r.fake };
	struct http_exchange *x = NULL;
	struct bytes piece;

	(void)state;
	assert_ok(open_with(&r, (struct http_request){ 0 }, "/", c.cancel, &x), &r.err);
	pthread_create(&c.thread, NULL, fire_when_asked, &c);
	assert_int_equal(http_next(x, &piece, c.cancel, &r.err), E_CANCELLED);
	pthread_join(c.thread, NULL);
	http_close(x);
	cancel_unref(c.cancel);
	stop(&r);
}

static void fired_token_asks_nobody(void **state)
{
	struct rig r = start(hello, NULL, (struct http_options){ 0 });
	struct cancel *cancel = cancel_new();
	struct http_exchange *x = NULL;

	(void)state;
	cancel_fire(cancel, E_DEADLINE);
	assert_int_equal(open_with(&r, (struct http_request){ 0 }, "/", cancel, &x), E_DEADLINE);
	assert_int_equal(fake_count(r.fake, "", ""), 0);
	cancel_unref(cancel);
	stop(&r);
}

static unsigned open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* More than may be open at once, so that each must have given its connection back. */
static void unfinished_exchanges_can_be_closed(void **state)
{
	enum { AT_ONCE = 2, EXCHANGES = 20 };
	struct http_options o = { .connections = AT_ONCE, .connections_per_host = AT_ONCE };
	unsigned before = open_descriptors();
	struct rig r = start(endless, NULL, o);
	struct http_exchange *x;
	struct bytes piece;

	(void)state;
	for (int i = 0; i < EXCHANGES; i++)
		http_close(opened(&r, "/"));
	x = opened(&r, "/");
	assert_int_equal(http_next(x, &piece, NULL, &r.err), 1);
	assert_int_not_equal(piece.len, 0);
	http_close(x);
	assert_int_equal(fake_count(r.fake, "", ""), EXCHANGES + 1);
	stop(&r);
	assert_int_equal(open_descriptors(), before);
}

/* ---- connections ----------------------------------------------------------- */

static void connections_are_used_again(void **state)
{
	struct rig r = start(hello, NULL, (struct http_options){ 0 });

	(void)state;
	for (int i = 0; i < 200; i++) {
		CLEANUP(http_closep) struct http_exchange *x = opened(&r, "/");
		CLEANUP(buf_free) struct buf b = BUF_INIT(100);

		assert_ok(body_of(&r, x, &b), &r.err);
	}
	assert_int_equal(fake_count(r.fake, "", ""), 200);
	assert_int_equal(fake_connections(r.fake), 1);
	stop(&r);
}

static void drained_exchanges_leave_their_connection(void **state)
{
	struct rig r = start(hello, NULL, (struct http_options){ 0 });

	(void)state;
	for (int i = 0; i < 50; i++) {
		CLEANUP(http_closep) struct http_exchange *x = opened(&r, "/");

		http_drain(x);
	}
	assert_int_equal(fake_connections(r.fake), 1);
	stop(&r);
}

struct crowd {
	struct rig *rig;
	atomic_uint good;
};

static void *one_of_many(void *arg)
{
	struct crowd *c = arg;

	for (int i = 0; i < 25; i++) {
		CLEANUP(freep) char *url = format("http://%s/", fake_authority(c->rig->fake));
		CLEANUP(http_closep) struct http_exchange *x = NULL;
		CLEANUP(buf_free) struct buf b = BUF_INIT(100);
		struct http_request q = { .method = "GET", .url = url };

		if (http_open(c->rig->client, &q, NULL, &x, NULL) == OK && http_body(x, &b, NULL, NULL) == OK)
			atomic_fetch_add(&c->good, 1);
	}
	return NULL;
}

static void many_threads_share_the_client_and_its_connection_limit(void **state)
{
	struct rig r = start(hello, NULL, (struct http_options){ .connections_per_host = 4 });
	struct crowd c = { .rig = &r };
	pthread_t threads[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_create(&threads[i], NULL, one_of_many, &c);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&c.good), 16 * 25);
	assert_in_range(fake_connections(r.fake), 1, 4);
	stop(&r);
}

/* ---- reach ----------------------------------------------------------------- */

static void public_requests_do_not_reach_loopback(void **state)
{
	struct rig r = start(hello, NULL, (struct http_options){ 0 });
	struct http_request q = { .reach = HTTP_REACH_PUBLIC };
	struct http_exchange *x = NULL;

	(void)state;
	assert_int_equal(open_with(&r, q, "/", NULL, &x), E_DENIED);
	assert_int_equal(r.failed, HTTP_FAILED_FORBIDDEN);
	assert_int_equal(fake_connections(r.fake), 0);
	q.reach = HTTP_REACH_LOOPBACK;
	assert_ok(open_with(&r, q, "/", NULL, &x), &r.err);
	http_close(x);
	stop(&r);
}

/* A connection that the user's own request opened is not a way around. */
static void kept_connections_are_checked_again(void **state)
{
	struct rig r = start(hello, NULL, (struct http_options){ 0 });
	struct http_exchange *x = opened(&r, "/");

	(void)state;
	http_drain(x);
	http_close(x);
	x = NULL;
	assert_int_equal(open_with(&r, (struct http_request){ .reach = HTTP_REACH_PUBLIC }, "/two", NULL, &x),
			 E_DENIED);
	assert_int_equal(fake_count(r.fake, "", "/two"), 0);
	stop(&r);
}

/* The DNS of these tests, also libcurl's: a name of the world that leads back here. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **ret)
{
	int (*real)(const char *, const char *, const struct addrinfo *,
		    struct addrinfo **) = (int (*)(const char *, const char *, const struct addrinfo *,
						   struct addrinfo **))(uintptr_t)dlsym(RTLD_NEXT, "getaddrinfo");

	return real(node && !strcmp(node, "rebound.example") ? "127.0.0.1" : node, service, hints, ret);
}

static void names_are_checked_after_dns(void **state)
{
	static const char *const names[] = { "localhost", "rebound.example" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct rig r = start(hello, NULL, (struct http_options){ 0 });
		CLEANUP(freep) char *url = format("http://%s:%u/", names[i], fake_port(r.fake));
		struct http_request q = {
			.method = "GET", .url = url, .reach = HTTP_REACH_PUBLIC, .ret_failure = &r.failed
		};
		struct http_exchange *x = NULL;

		assert_int_equal(http_open(r.client, &q, NULL, &x, &r.err), E_DENIED);
		assert_int_equal(r.failed, HTTP_FAILED_FORBIDDEN);
		assert_int_equal(fake_connections(r.fake), 0);
		q.reach = HTTP_REACH_LOOPBACK;
		assert_ok(http_open(r.client, &q, NULL, &x, &r.err), &r.err);
		http_close(x);
		stop(&r);
	}
}

/* ---- proxies --------------------------------------------------------------- */

static void proxies_are_used_and_their_own_address_is_not_checked(void **state)
{
	struct rig r = start(hello, NULL, (struct http_options){ 0 });
	CLEANUP(freep) char *proxy = format("http://%s", fake_authority(r.fake));
	struct http_options o = { 0 };
	struct http_request q = { .method = "GET",
				  .url = "http://registry.example/x",
				  .reach = HTTP_REACH_PUBLIC,
				  .ret_failure = &r.failed };
	struct http_exchange *x = NULL;
	struct http_client *client = NULL;

	(void)state;
	setenv("http_proxy", proxy, 1);
	assert_ok(http_client_new(&o, &client, &r.err), &r.err);
	assert_ok(http_open(client, &q, NULL, &x, &r.err), &r.err);
	assert_int_equal(fake_count(r.fake, "GET", "http://registry.example/x"), 1);
	http_close(x);
	q.url = "http://169.254.169.254/latest"; /* the proxy must not go there for us either */
	assert_int_equal(http_open(client, &q, NULL, &x, &r.err), E_DENIED);
	assert_int_equal(r.failed, HTTP_FAILED_FORBIDDEN);
	assert_int_equal(fake_count(r.fake, "GET", "http://169.254.169.254"), 0);
	http_client_free(client);
	unsetenv("http_proxy");
	stop(&r);
}

/* On the proxy's own port, where only the proxy is let pass unchecked. */
static void hosts_that_no_proxy_names_are_checked(void **state)
{
	struct rig r = start(hello, NULL, (struct http_options){ 0 });
	CLEANUP(freep) char *proxy = format("http://%s", fake_authority(r.fake));
	CLEANUP(freep) char *url = format("http://rebound.example:%u/", fake_port(r.fake));
	struct http_options o = { 0 };
	struct http_request q = { .method = "GET", .url = url, .reach = HTTP_REACH_PUBLIC, .ret_failure = &r.failed };
	struct http_exchange *x = NULL;
	struct http_client *client = NULL;

	(void)state;
	setenv("http_proxy", proxy, 1);
	setenv("no_proxy", "other.example, .rebound.example", 1);
	assert_ok(http_client_new(&o, &client, &r.err), &r.err);
	unsetenv("no_proxy");
	unsetenv("http_proxy");
	assert_int_equal(http_open(client, &q, NULL, &x, &r.err), E_DENIED);
	assert_int_equal(r.failed, HTTP_FAILED_FORBIDDEN);
	assert_int_equal(fake_connections(r.fake), 0);
	http_client_free(client);
	stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_returns_with_status_before_any_body),
		cmocka_unit_test(headers_are_trimmed_kept_in_order_and_found_without_case),
		cmocka_unit_test(interim_responses_are_not_the_answer),
		cmocka_unit_test(requests_ask_for_identity_and_carry_no_state),
		cmocka_unit_test(post_sends_its_body),
		cmocka_unit_test(redirects_are_not_followed),
		cmocka_unit_test(large_body_arrives_whole_through_the_ring),
		cmocka_unit_test(slow_reader_stops_the_sender),
		cmocka_unit_test(chunked_body_needs_no_length),
		cmocka_unit_test(http_1_0_body_ends_with_the_connection),
		cmocka_unit_test(body_may_hold_nul_bytes),
		cmocka_unit_test(body_past_the_maximum_is_refused_not_cut),
		cmocka_unit_test(short_body_gives_its_bytes_then_fails),
		cmocka_unit_test(bytes_past_the_length_are_not_the_body),
		cmocka_unit_test(header_floods_are_refused),
		cmocka_unit_test(long_headers_are_refused),
		cmocka_unit_test(nonsense_lengths_count_as_unknown),
		cmocka_unit_test(refused_connection_reads_like_docker),
		cmocka_unit_test(unknown_host_reads_like_docker),
		cmocka_unit_test(reset_connection_is_a_broken_exchange),
		cmocka_unit_test(server_that_hangs_up_gives_eof),
		cmocka_unit_test(garbage_is_no_answer),
		cmocka_unit_test(urls_with_users_or_other_schemes_are_refused),
		cmocka_unit_test(silent_server_runs_into_the_header_timeout),
		cmocka_unit_test(stalled_body_runs_into_the_stall_timeout),
		cmocka_unit_test(trickling_server_runs_into_the_floor_rate),
		cmocka_unit_test(cancel_ends_a_waiting_open),
		cmocka_unit_test(cancel_ends_a_waiting_read),
		cmocka_unit_test(fired_token_asks_nobody),
		cmocka_unit_test(unfinished_exchanges_can_be_closed),
		cmocka_unit_test(connections_are_used_again),
		cmocka_unit_test(drained_exchanges_leave_their_connection),
		cmocka_unit_test(many_threads_share_the_client_and_its_connection_limit),
		cmocka_unit_test(public_requests_do_not_reach_loopback),
		cmocka_unit_test(kept_connections_are_checked_again),
		cmocka_unit_test(names_are_checked_after_dns),
		cmocka_unit_test(proxies_are_used_and_their_own_address_is_not_checked),
		cmocka_unit_test(hosts_that_no_proxy_names_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

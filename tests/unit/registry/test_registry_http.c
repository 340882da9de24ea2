/* The HTTP client by itself: order of things, bounds, failures in words. */
#include "proto/runtime/clock.h"
#include "tests/unit/registry/http_rig.h"

/* ---- order ----------------------------------------------------------------- */

static void open_returns_with_status_before_any_body(void **state)
{
	struct http_rig r = http_rig_start(say_and_stall, "HTTP/1.1 404 Nope\r\nContent-Length: 5\r\n\r\n",
					   (struct http_options){ 0 });
	struct http_exchange *x = opened(&r, "/");

	(void)state;
	assert_int_equal(http_response_of(x)->status, 404);
	assert_int_equal(http_response_of(x)->content_length, 5);
	http_close(x);
	http_rig_stop(&r);
}

static void headers_are_trimmed_kept_in_order_and_found_without_case(void **state)
{
	struct http_rig r = http_rig_start(hello, NULL, (struct http_options){ 0 });
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
	http_rig_stop(&r);
}

static void interim_responses_are_not_the_answer(void **state)
{
	struct http_rig r = http_rig_start(
		say, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		(struct http_options){ 0 });
	struct http_exchange *x = opened(&r, "/");

	(void)state;
	assert_int_equal(http_response_of(x)->status, 200);
	assert_null(http_header_of(x, "Link"));
	http_close(x);
	http_rig_stop(&r);
}

static void requests_ask_for_identity_and_carry_no_state(void **state)
{
	struct http_rig r = http_rig_start(say, "HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n",
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
	http_rig_stop(&r);
}

static void post_sends_its_body(void **state)
{
	struct http_rig r = http_rig_start(hello, NULL, (struct http_options){ 0 });
	struct http_exchange *x = NULL;
	struct fake_request q;

	(void)state;
	assert_ok(open_with(&r, (struct http_request){ .method = "POST", .body = bytes_of("a=b&c=d") }, "/p", NULL, &x),
		  &r.err);
	assert_true(fake_last(r.fake, "POST", "/p", &q));
	assert_string_equal(q.body, "a=b&c=d");
	http_close(x);
	http_rig_stop(&r);
}

static void redirects_are_not_followed(void **state)
{
	struct http_rig r = http_rig_start(say, "HTTP/1.1 307 Go\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
					   (struct http_options){ 0 });
	struct http_exchange *x = opened(&r, "/");

	(void)state;
	assert_int_equal(http_response_of(x)->status, 307);
	assert_string_equal(http_header_of(x, "Location"), "/elsewhere");
	assert_int_equal(fake_count(r.fake, "", ""), 1);
	http_close(x);
	http_rig_stop(&r);
}

/* ---- bodies ---------------------------------------------------------------- */

static void large_body_arrives_whole_through_the_ring(void **state)
{
	struct http_rig r = http_rig_start(big, NULL, (struct http_options){ 0 });
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
	http_rig_stop(&r);
}

/* The kernel's socket buffers hold some megabytes beside our window; what is tested
 * is that the flow stops at all. */
static void slow_reader_stops_the_sender(void **state)
{
	struct http_rig r = http_rig_start(endless, NULL, (struct http_options){ 0 });
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
	http_rig_stop(&r);
}

static void chunked_body_needs_no_length(void **state)
{
	struct http_rig r = http_rig_start(say,
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
	http_rig_stop(&r);
}

static void http_1_0_body_ends_with_the_connection(void **state)
{
	struct http_rig r = http_rig_start(say, "HTTP/1.0 200 OK\r\n\r\nold", (struct http_options){ 0 });
	struct http_exchange *x = opened(&r, "/");
	CLEANUP(buf_free) struct buf b = BUF_INIT(100);

	(void)state;
	assert_ok(body_of(&r, x, &b), &r.err);
	assert_string_equal(buf_text(&b), "old");
	http_close(x);
	http_rig_stop(&r);
}

/* c-style.md A12 */
static void body_may_hold_nul_bytes(void **state)
{
	struct http_rig r = http_rig_start(big, NULL, (struct http_options){ 0 });
	struct http_exchange *x = opened(&r, "/");
	CLEANUP(buf_free) struct buf b = BUF_INIT(BIG);

	(void)state;
	assert_ok(body_of(&r, x, &b), &r.err);
	assert_int_equal(b.len, BIG);
	assert_int_equal(b.data[0], 0);
	http_close(x);
	http_rig_stop(&r);
}

/* c-style.md A11 */
static void body_past_the_maximum_is_refused_not_cut(void **state)
{
	struct http_rig r = http_rig_start(hello, NULL, (struct http_options){ 0 });
	struct http_exchange *x = opened(&r, "/");
	CLEANUP(buf_free) struct buf b = BUF_INIT(4);

	(void)state;
	assert_int_equal(body_of(&r, x, &b), E_LIMIT);
	http_close(x);
	http_rig_stop(&r);
}

static void short_body_gives_its_bytes_then_fails(void **state)
{
	struct http_rig r = http_rig_start(say, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
					   (struct http_options){ 0 });
	struct http_exchange *x = opened(&r, "/");
	struct bytes piece;

	(void)state;
	assert_int_equal(http_next(x, &piece, NULL, &r.err), 1);
	assert_int_equal(piece.len, 3);
	assert_int_equal(http_next(x, &piece, NULL, &r.err), E_REGISTRY);
	assert_non_null(strstr(r.err.text, "unexpected EOF"));
	http_close(x);
	http_rig_stop(&r);
}

static void bytes_past_the_length_are_not_the_body(void **state)
{
	struct http_rig r = http_rig_start(say, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef",
					   (struct http_options){ 0 });
	struct http_exchange *x = opened(&r, "/");
	CLEANUP(buf_free) struct buf b = BUF_INIT(100);

	(void)state;
	assert_ok(body_of(&r, x, &b), &r.err);
	assert_string_equal(buf_text(&b), "abc");
	http_close(x);
	http_rig_stop(&r);
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
	struct http_rig r = http_rig_start(flood, &n, (struct http_options){ 0 });
	struct http_exchange *x = NULL;

	(void)state;
	assert_int_equal(open_with(&r, (struct http_request){ 0 }, "/", NULL, &x), E_LIMIT);
	assert_non_null(strstr(r.err.text, "too many headers"));
	assert_int_equal(r.failed, HTTP_FAILED_LOCAL);
	http_rig_stop(&r);
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
	struct http_rig r = http_rig_start(long_header, NULL, (struct http_options){ 0 });
	struct http_exchange *x = NULL;

	(void)state;
	assert_int_equal(open_with(&r, (struct http_request){ 0 }, "/", NULL, &x), E_LIMIT);
	http_rig_stop(&r);
}

static void nonsense_lengths_count_as_unknown(void **state)
{
	struct http_rig r = http_rig_start(say, "HTTP/1.0 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nx",
					   (struct http_options){ 0 });
	struct http_exchange *x = NULL;
	int code = open_with(&r, (struct http_request){ 0 }, "/", NULL, &x);

	(void)state;
	if (code == OK)
		assert_int_equal(http_response_of(x)->content_length, -1);
	http_close(x);
	http_rig_stop(&r);
}

/* ---- failures in words ----------------------------------------------------- */

static void refused_connection_reads_like_docker(void **state)
{
	struct http_rig r = http_rig_start(hello, NULL, (struct http_options){ 0 });
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
	http_rig_stop(&r);
}

static void unknown_host_reads_like_docker(void **state)
{
	struct http_rig r = http_rig_start(hello, NULL, (struct http_options){ 0 });
	struct http_request q = { .method = "HEAD", .url = "http://nowhere.invalid/v2/", .ret_failure = &r.failed };
	struct http_exchange *x;

	(void)state;
	assert_int_equal(http_open(r.client, &q, NULL, &x, &r.err), E_REGISTRY);
	assert_string_equal(r.err.text,
			    "Head \"http://nowhere.invalid/v2/\": dial tcp: lookup nowhere.invalid: no such host");
	assert_int_equal(r.failed, HTTP_FAILED_RESOLVE);
	http_rig_stop(&r);
}

static void reset_me(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	(void)q;
	(void)arg;
	fake_reset(c);
}

static void reset_connection_is_a_broken_exchange(void **state)
{
	struct http_rig r = http_rig_start(reset_me, NULL, (struct http_options){ 0 });
	struct http_exchange *x = NULL;

	(void)state;
	assert_int_equal(open_with(&r, (struct http_request){ 0 }, "/", NULL, &x), E_REGISTRY);
	assert_int_equal(r.failed, HTTP_FAILED_BROKEN);
	assert_non_null(strstr(r.err.text, "connection reset by peer"));
	http_rig_stop(&r);
}

static void server_that_hangs_up_gives_eof(void **state)
{
	struct http_rig r = http_rig_start(say, "", (struct http_options){ 0 });
	struct http_exchange *x = NULL;

	(void)state;
	assert_int_equal(open_with(&r, (struct http_request){ 0 }, "/", NULL, &x), E_REGISTRY);
	assert_non_null(strstr(r.err.text, "EOF"));
	http_rig_stop(&r);
}

static void garbage_is_no_answer(void **state)
{
	struct http_rig r = http_rig_start(say, "\001\002garbage\r\n\r\n", (struct http_options){ 0 });
	struct http_exchange *x = NULL;

	(void)state;
	assert_int_equal(open_with(&r, (struct http_request){ 0 }, "/", NULL, &x), E_REGISTRY);
	assert_non_null(strstr(r.err.text, "malformed HTTP response"));
	http_rig_stop(&r);
}

static void urls_with_users_or_other_schemes_are_refused(void **state)
{
	static const char *const bad[] = { "http://user:pw@127.0.0.1/", "file:///etc/passwd", "ftp://127.0.0.1/", "" };
	struct http_rig r = http_rig_start(hello, NULL, (struct http_options){ 0 });

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct http_request q = { .method = "GET", .url = bad[i] };
		struct http_exchange *x;

		assert_int_equal(http_open(r.client, &q, NULL, &x, &r.err), E_INVALID);
		assert_null(strstr(r.err.text, "pw"));
	}
	http_rig_stop(&r);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

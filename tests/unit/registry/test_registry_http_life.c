/* The HTTP client over time: timeouts, cancellation, connections, what they reach. */
#include <dirent.h>
#include <dlfcn.h>
#include <netdb.h>

#include "proto/runtime/clock.h"
#include "tests/unit/registry/http_rig.h"

enum { RUNAWAY_MS = 30000 }; /* sooner than any timeout of the client */

/* ---- time ------------------------------------------------------------------ */

/* c-style.md A24: deadlines are monotonic; nobody polls */
static void silent_server_runs_into_the_header_timeout(void **state)
{
	struct http_rig r = http_rig_start(say_and_stall, "", (struct http_options){ .header_timeout_ms = 100 });
	struct http_exchange *x = NULL;

	(void)state;
	assert_int_equal(open_with(&r, (struct http_request){ 0 }, "/", NULL, &x), E_REGISTRY);
	assert_non_null(strstr(r.err.text, "no answer within"));
	assert_int_equal(r.failed, HTTP_FAILED_BROKEN);
	http_rig_stop(&r);
}

static void stalled_body_runs_into_the_stall_timeout(void **state)
{
	struct http_rig r = http_rig_start(say_and_stall, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
					   (struct http_options){ .stall_timeout_ms = 100 });
	struct http_exchange *x = opened(&r, "/");
	struct bytes piece;

	(void)state;
	assert_int_equal(http_next(x, &piece, NULL, &r.err), 1);
	assert_int_equal(http_next(x, &piece, NULL, &r.err), E_REGISTRY);
	assert_non_null(strstr(r.err.text, "stalled"));
	http_close(x);
	http_rig_stop(&r);
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
	struct http_rig r = http_rig_start(trickle, NULL, (struct http_options){ .stall_timeout_ms = 100 });
	struct http_exchange *x = opened(&r, "/");
	struct bytes piece;
	int n;

	(void)state;
	while ((n = http_next(x, &piece, NULL, &r.err)) == 1)
		;
	assert_int_equal(n, E_REGISTRY);
	assert_non_null(strstr(r.err.text, "stalled"));
	http_close(x);
	http_rig_stop(&r);
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
	struct http_rig r = http_rig_start(say_and_stall, "", (struct http_options){ 0 });
	struct canceller c = { .cancel = cancel_new(), .fake = r.fake };
	struct http_exchange *x = NULL;
	int64_t begin = clock_monotonic_ms();

	(void)state;
	pthread_create(&c.thread, NULL, fire_when_asked, &c);
	assert_int_equal(open_with(&r, (struct http_request){ 0 }, "/", c.cancel, &x), E_CANCELLED);
	assert_in_range(clock_monotonic_ms() - begin, 0, RUNAWAY_MS);
	pthread_join(c.thread, NULL);
	cancel_unref(c.cancel);
	http_rig_stop(&r);
}

static void cancel_ends_a_waiting_read(void **state)
{
	struct http_rig r = http_rig_start(say_and_stall, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
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
	http_rig_stop(&r);
}

static void fired_token_asks_nobody(void **state)
{
	struct http_rig r = http_rig_start(hello, NULL, (struct http_options){ 0 });
	struct cancel *cancel = cancel_new();
	struct http_exchange *x = NULL;

	(void)state;
	cancel_fire(cancel, E_DEADLINE);
	assert_int_equal(open_with(&r, (struct http_request){ 0 }, "/", cancel, &x), E_DEADLINE);
	assert_int_equal(fake_count(r.fake, "", ""), 0);
	cancel_unref(cancel);
	http_rig_stop(&r);
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
	struct http_rig r = http_rig_start(endless, NULL, o);
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
	http_rig_stop(&r);
	assert_int_equal(open_descriptors(), before);
}

/* ---- connections ----------------------------------------------------------- */

static void connections_are_used_again(void **state)
{
	struct http_rig r = http_rig_start(hello, NULL, (struct http_options){ 0 });

	(void)state;
	for (int i = 0; i < 200; i++) {
		CLEANUP(http_closep) struct http_exchange *x = opened(&r, "/");
		CLEANUP(buf_free) struct buf b = BUF_INIT(100);

		assert_ok(body_of(&r, x, &b), &r.err);
	}
	assert_int_equal(fake_count(r.fake, "", ""), 200);
	assert_int_equal(fake_connections(r.fake), 1);
	http_rig_stop(&r);
}

static void drained_exchanges_leave_their_connection(void **state)
{
	struct http_rig r = http_rig_start(hello, NULL, (struct http_options){ 0 });

	(void)state;
	for (int i = 0; i < 50; i++) {
		CLEANUP(http_closep) struct http_exchange *x = opened(&r, "/");

		http_drain(x);
	}
	assert_int_equal(fake_connections(r.fake), 1);
	http_rig_stop(&r);
}

struct crowd {
	struct http_rig *rig;
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
	struct http_rig r = http_rig_start(hello, NULL, (struct http_options){ .connections_per_host = 4 });
	struct crowd c = { .rig = &r };
	pthread_t threads[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_create(&threads[i], NULL, one_of_many, &c);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&c.good), 16 * 25);
	assert_in_range(fake_connections(r.fake), 1, 4);
	http_rig_stop(&r);
}

/* ---- reach ----------------------------------------------------------------- */

static void public_requests_do_not_reach_loopback(void **state)
{
	struct http_rig r = http_rig_start(hello, NULL, (struct http_options){ 0 });
	struct http_request q = { .reach = HTTP_REACH_PUBLIC };
	struct http_exchange *x = NULL;

	(void)state;
	assert_int_equal(open_with(&r, q, "/", NULL, &x), E_DENIED);
	assert_int_equal(r.failed, HTTP_FAILED_FORBIDDEN);
	assert_int_equal(fake_connections(r.fake), 0);
	q.reach = HTTP_REACH_LOOPBACK;
	assert_ok(open_with(&r, q, "/", NULL, &x), &r.err);
	http_close(x);
	http_rig_stop(&r);
}

/* A connection that the user's own request opened is not a way around. */
static void kept_connections_are_checked_again(void **state)
{
	struct http_rig r = http_rig_start(hello, NULL, (struct http_options){ 0 });
	struct http_exchange *x = opened(&r, "/");

	(void)state;
	http_drain(x);
	http_close(x);
	x = NULL;
	assert_int_equal(open_with(&r, (struct http_request){ .reach = HTTP_REACH_PUBLIC }, "/two", NULL, &x),
			 E_DENIED);
	assert_int_equal(fake_count(r.fake, "", "/two"), 0);
	http_rig_stop(&r);
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
		struct http_rig r = http_rig_start(hello, NULL, (struct http_options){ 0 });
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
		http_rig_stop(&r);
	}
}

/* ---- proxies --------------------------------------------------------------- */

static void proxies_are_used_and_their_own_address_is_not_checked(void **state)
{
	struct http_rig r = http_rig_start(hello, NULL, (struct http_options){ 0 });
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
	http_rig_stop(&r);
}

/* On the proxy's own port, where only the proxy is let pass unchecked. */
static void hosts_that_no_proxy_names_are_checked(void **state)
{
	struct http_rig r = http_rig_start(hello, NULL, (struct http_options){ 0 });
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
	http_rig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
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

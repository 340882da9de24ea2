/* Decisions without a network: URLs, redirects, addresses, retries, ranges, texts. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>

#include "service/registry/content_range.h"
#include "service/registry/error_body.h"
#include "service/registry/host.h"
#include "service/registry/netaddr.h"
#include "service/registry/proxy.h"
#include "service/registry/redirect.h"
#include "service/registry/retry.h"
#include "service/registry/secret.h"
#include "service/registry/token_cache.h"
#include "tests/unit/types/unit.h"

static struct url url(const char *text)
{
	struct url u = { 0 };
	struct err err = ERR_INIT;

	assert_ok(url_parse(text, &u, &err), &err);
	return u;
}

/* ---- URLs ------------------------------------------------------------------ */

/* c-style.md A9 */
static void url_encodes_everything_that_is_not_unreserved(void **state)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(1000);

	(void)state;
	assert_true(buf_puts(&b, "https://a.example/token"));
	assert_true(url_add_query(&b, "service", "a b&c=d"));
	assert_true(url_add_query(&b, "scope", "repository:x/y:pull,push"));
	assert_true(url_add_query(&b, "account", "\xc3\xa4+%#"));
	assert_string_equal(buf_text(&b),
			    "https://a.example/token?service=a%20b%26c%3Dd&scope=repository%3Ax%2Fy%3Apull%2Cpush&"
			    "account=%C3%A4%2B%25%23");
}

static void url_appends_to_a_query_that_is_there(void **state)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(1000);

	(void)state;
	assert_true(buf_puts(&b, "https://a.example/token?x=1"));
	assert_true(url_add_query(&b, "service", "s"));
	assert_string_equal(buf_text(&b), "https://a.example/token?x=1&service=s");
}

static void url_refuses_users_and_other_schemes(void **state)
{
	static const char *const bad[] = { "http://0%300/",	   "http://%32130706433/",
					   "https://u@a.example/", "https://u:p@a.example/",
					   "ftp://a.example/",	   "file:///etc/passwd",
					   "a.example/x",	   "https://",

					   "https://a b/",	   "" };
	struct url u;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (url_parse(bad[i], &u, NULL) != E_INVALID)
			failed("\"%s\" was taken", bad[i]);
}

static void url_origin_is_scheme_host_and_port(void **state)
{
	CLEANUP(url_free) struct url a = url("https://A.example/x"), b = url("https://a.EXAMPLE:443/y");
	CLEANUP(url_free) struct url c = url("https://a.example:444/"), d = url("http://a.example:443/");

	(void)state;
	assert_true(url_same_origin(&a, &b));
	assert_false(url_same_origin(&a, &c));
	assert_false(url_same_origin(&b, &d));
}

static void url_is_shown_without_its_secrets(void **state)
{
	static const char *const cases[][2] = {
		{ "https://a.example/x?sig=secret#f", "https://a.example/x" },
		{ "https://user:pw@a.example/x@y", "https://a.example/x@y" },
		{ "https://a.example?x=@", "https://a.example" },
		{ "https://a.example/\033[31m", "https://a.example/?[31m" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(freep) char *text = url_for_display(cases[i][0]);

		assert_string_equal(text, cases[i][1]);
	}
}

static void url_is_masked_where_it_proves_who_asks(void **state)
{
	static const char *const cases[][2] = {
		{ "https://user:pw@a.example/x@y#ref:dir", "https://xxxxx:xxxxx@a.example/x@y#ref:dir" },
		{ "HTTP://token@a.example", "HTTP://xxxxx@a.example" },
		{ "https://a.example/x?y=@", "https://a.example/x?y=@" },
		{ "ssh://git@a.example/x", "ssh://git@a.example/x" },
		{ "ssh://git:pw@a.example/x", "ssh://xxxxx:xxxxx@a.example/x" },
		{ "git@a.example:x/y", "git@a.example:x/y" },
		{ "docker-image://a:1@sha256:0", "docker-image://a:1@sha256:0" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(freep) char *text = url_masked(cases[i][0]);

		assert_string_equal(text, cases[i][1]);
	}
}

/* ---- redirects ------------------------------------------------------------- */

static int hop(const char *from, const char *location, struct url *to)
{
	CLEANUP(url_free) struct url at = url(from);

	return redirect_next(&at, location, 0, to, NULL);
}

static void redirect_resolves_relative_locations(void **state)
{
	static const char *const cases[][2] = {
		{ "/other?x=1", "https://a.example:5000/other?x=1" },
		{ "c", "https://a.example:5000/v2/c" },
		{ "//b.example/x", "https://b.example/x" },
		{ "https://b.example/a%2Fb?sig=%2B#f", "https://b.example/a%2Fb?sig=%2B" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(url_free) struct url to = { 0 };

		assert_int_equal(hop("https://a.example:5000/v2/b", cases[i][0], &to), OK);
		assert_string_equal(to.text, cases[i][1]);
	}
}

static void redirect_never_leaves_https(void **state)
{
	struct url to;

	(void)state;
	assert_int_equal(hop("https://a.example/", "http://a.example/", &to), E_DENIED);
	assert_int_equal(hop("https://a.example/", "http://b.example/", &to), E_DENIED);
}

static void redirect_refuses_what_is_no_place(void **state)
{
	static const char *const bad[] = { "ftp://b.example/", "https://u:p@b.example/", "file:///etc/passwd" };
	struct url to;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(hop("https://a.example/", bad[i], &to), E_REGISTRY);
	assert_int_equal(hop("https://a.example/", NULL, &to), E_REGISTRY);
	assert_int_equal(hop("https://a.example/", "", &to), E_REGISTRY);
}

static void redirect_counts_its_hops(void **state)
{
	CLEANUP(url_free) struct url at = url("https://a.example/");
	struct url to;

	(void)state;
	assert_int_equal(redirect_next(&at, "/x", REDIRECTS_MAX, &to, NULL), E_REGISTRY);
}

static enum http_reach reach(const char *from, const char *to)
{
	CLEANUP(url_free) struct url a = url(from), b = url(to);

	return redirect_reach(&a, &b);
}

static void reach_depends_on_where_the_registry_is(void **state)
{
	(void)state;
	assert_int_equal(reach("https://r.example/", "https://cdn.example/"), HTTP_REACH_PUBLIC);
	assert_int_equal(reach("https://r.example/", "https://127.0.0.1/"), HTTP_REACH_PUBLIC);
	assert_int_equal(reach("https://r.example/", "https://R.example:444/"), HTTP_REACH_ANY);
	assert_int_equal(reach("http://127.0.0.1:5000/", "http://localhost:5001/"), HTTP_REACH_LOOPBACK);
	assert_int_equal(reach("http://169.254.1.1/", "http://169.254.1.2/"), HTTP_REACH_ANY);
}

/* ---- addresses ------------------------------------------------------------- */

static void addresses_have_their_class(void **state)
{
	static const struct {
		const char *host;
		enum netaddr_class class;
	} cases[] = {
		{ "127.0.0.1", NETADDR_LOOPBACK },
		{ "127.255.1.2", NETADDR_LOOPBACK },
		{ "0.0.0.0", NETADDR_LOOPBACK },
		{ "[::1]", NETADDR_LOOPBACK },
		{ "::1", NETADDR_LOOPBACK },
		{ "[::]", NETADDR_LOOPBACK },
		{ "[::ffff:127.0.0.1]", NETADDR_LOOPBACK },
		{ "localhost", NETADDR_LOOPBACK },
		{ "a.LOCALHOST.", NETADDR_LOOPBACK },
		{ "169.254.169.254", NETADDR_LINK_LOCAL },
		{ "[fe80::1]", NETADDR_LINK_LOCAL },
		{ "[::ffff:169.254.169.254]", NETADDR_LINK_LOCAL },
		{ "[64:ff9b::a9fe:a9fe]", NETADDR_LINK_LOCAL },
		{ "[fd00:ec2::254]", NETADDR_LINK_LOCAL },
		{ "100.100.100.200", NETADDR_LINK_LOCAL },
		{ "10.0.0.1", NETADDR_ORDINARY },
		{ "8.8.8.8", NETADDR_ORDINARY },
		{ "[2001:db8::1]", NETADDR_ORDINARY },
		{ "example.com", NETADDR_ORDINARY },
		{ "notlocalhost", NETADDR_ORDINARY },
		{ "localhost.example", NETADDR_ORDINARY },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (netaddr_class_of_host(cases[i].host) != cases[i].class)
			failed("class of %s", cases[i].host);
}

static void networks_hold_addresses_by_prefix_and_no_names(void **state)
{
	struct network n;

	(void)state;
	assert_true(network_parse("10.0.0.0/9", &n));
	assert_true(network_has_host(&n, "10.127.1.1"));
	assert_false(network_has_host(&n, "10.128.1.1"));
	assert_false(network_has_host(&n, "example.com"));
	assert_false(network_has_host(&n, "[::1]"));
	assert_true(network_parse("2001:db8::/33", &n));
	assert_true(network_has_host(&n, "[2001:db8:7fff::1]"));
	assert_false(network_has_host(&n, "[2001:db8:8000::1]"));
	assert_true(network_parse("0.0.0.0/0", &n));
	assert_true(network_has_host(&n, "9.9.9.9"));
	assert_false(network_parse("10.0.0.0/33", &n));
	assert_false(network_parse("10.0.0.0/", &n));
	assert_false(network_parse("10.0.0.0/x", &n));
	assert_false(network_parse("host/8", &n));
}

/* ---- hosts ----------------------------------------------------------------- */

static void server_addresses_become_authorities(void **state)
{
	static const char *const cases[][2] = {
		{ "docker.io", "registry-1.docker.io" },
		{ "https://index.docker.io/v1/", "registry-1.docker.io" },
		{ "http://127.0.0.1:5556/", "127.0.0.1:5556" },
		{ "Registry.Example:5000/v2/", "registry.example:5000" },
		{ "[::1]:5000", "[::1]:5000" },
	};
	char out[HOST_AUTHORITY_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_true(host_authority(cases[i][0], out));
		assert_string_equal(out, cases[i][1]);
	}
	assert_false(host_authority("", out));
	assert_false(host_authority("https:///x", out));
	assert_false(host_authority("user@host", out));
	assert_false(host_authority("ho st", out));
}

static void insecure_list_takes_hosts_and_networks(void **state)
{
	static const char *const list[] = { "plain.example:5000", "10.0.0.0/8", "192.168.1.1" };
	struct http_options o = { 0 };
	struct http_client *http = NULL;
	struct host_table *t = NULL;
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(http_client_new(&o, &http, &err), &err);
	assert_ok(host_table_new(http, list, ARRAY_LEN(list), &t, &err), &err);
	assert_true(host_table_is_insecure(t, "PLAIN.example:5000"));
	assert_false(host_table_is_insecure(t, "plain.example"));
	assert_false(host_table_is_insecure(t, "plain.example:5001"));
	assert_true(host_table_is_insecure(t, "10.1.2.3:5000"));
	assert_true(host_table_is_insecure(t, "192.168.1.1:80"));
	assert_false(host_table_is_insecure(t, "192.168.1.2"));
	assert_true(host_table_is_insecure(t, "127.0.0.5:443"));
	assert_true(host_table_is_insecure(t, "[::1]:5000"));
	assert_true(host_table_is_insecure(t, "localhost"));
	host_table_free(t);
	http_client_free(http);
}

static void insecure_list_names_a_wrong_entry(void **state)
{
	static const char *const bad[] = { "http://a.example", "10.0.0.0/40", "a b", "u@a.example", "" };
	struct http_options o = { 0 };
	struct http_client *http = NULL;
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(http_client_new(&o, &http, &err), &err);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct host_table *t = NULL;

		assert_fails(host_table_new(http, &bad[i], 1, &t, &err), &err, E_INVALID, "insecure registry");
		assert_non_null(strstr(err.text, bad[i]));
	}
	http_client_free(http);
}

/* ---- retries --------------------------------------------------------------- */

static uint32_t least(void *arg)
{
	(void)arg;
	return 0;
}

static uint32_t most(void *arg)
{
	(void)arg;
	return UINT32_MAX;
}

static void retry_table_sorts_statuses(void **state)
{
	(void)state;
	assert_int_equal(retry_class_of_status(429), RETRY_THROTTLE);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(retry_class_of_status((const int[]){ 408, 500, 502, 503 }[i]), RETRY_SERVER);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(retry_class_of_status((const int[]){ 200, 400, 401, 404, 501 }[i]), RETRY_NEVER);
	assert_int_equal(retry_class_of_failure(HTTP_FAILED_TLS), RETRY_NEVER);
	assert_int_equal(retry_class_of_failure(HTTP_FAILED_FORBIDDEN), RETRY_NEVER);
	assert_int_equal(retry_class_of_failure(HTTP_FAILED_BROKEN), RETRY_BROKEN);
}

static void retry_pauses_double_with_jitter_and_end(void **state)
{
	const struct retry_env low = { .chance = least }, high = { .chance = most };
	struct retry a = { .purpose = RETRY_TRANSFER }, b = { .purpose = RETRY_TRANSFER };
	int64_t last = 0;

	(void)state;
	for (int i = 0; i < 4; i++) {
		int64_t from = retry_pause(&a, RETRY_BROKEN, 0, &low), to = retry_pause(&b, RETRY_BROKEN, 0, &high);

		assert_true(from > 0 && from < to && to <= 2 * from);
		assert_true(from > last);
		last = from;
	}
	assert_int_equal(retry_pause(&a, RETRY_BROKEN, 0, &low), -1);
}

static void retry_starts_anew_after_progress(void **state)
{
	const struct retry_env env = { .chance = least };
	struct retry r = { .purpose = RETRY_TRANSFER };

	(void)state;
	for (int i = 0; i < RETRY_BUDGET; i++) {
		assert_true(retry_pause(&r, RETRY_BROKEN, 0, &env) >= 0);
		retry_progress(&r, 1);
	}
}

static void retry_has_a_budget_that_progress_earns_back(void **state)
{
	const struct retry_env env = { .chance = least };
	struct retry r = { .purpose = RETRY_TRANSFER };

	(void)state;
	for (int i = 0; i < RETRY_BUDGET; i++) {
		assert_true(retry_pause(&r, RETRY_BROKEN, 0, &env) >= 0);
		retry_progress(&r, 1);
	}
	retry_progress(&r, RETRY_EARN_BYTES);
	assert_true(retry_pause(&r, RETRY_BROKEN, 0, &env) >= 0);
	retry_progress(&r, 1);
	assert_int_equal(retry_pause(&r, RETRY_BROKEN, 0, &env), -1);
}

static void retry_of_a_first_question_does_not_wait_for_a_dead_host(void **state)
{
	const struct retry_env env = { .chance = least };
	struct retry question = { .purpose = RETRY_QUESTION }, transfer = { .purpose = RETRY_TRANSFER };

	(void)state;
	assert_int_equal(retry_pause(&question, RETRY_CONNECT, 0, &env), -1);
	assert_true(retry_pause(&transfer, RETRY_CONNECT, 0, &env) > 0);
}

static void retry_obeys_retry_after_up_to_its_cap(void **state)
{
	const struct retry_env env = { .chance = least };
	struct retry a = { 0 }, b = { 0 };

	(void)state;
	assert_int_equal(retry_pause(&a, RETRY_THROTTLE, 7000, &env), 7000);
	assert_int_equal(retry_pause(&b, RETRY_THROTTLE, RETRY_AFTER_MAX_MS + 1000, &env), -1);
}

static void retry_after_reads_seconds_and_dates(void **state)
{
	enum { NOW = 1784024400 }; /* Tue, 14 Jul 2026 10:20:00 GMT */

	(void)state;
	assert_int_equal(retry_after_ms("7", NOW), 7000);
	assert_int_equal(retry_after_ms("0", NOW), 0);
	assert_int_equal(retry_after_ms("Tue, 14 Jul 2026 10:20:30 GMT", NOW), 30000);
	assert_int_equal(retry_after_ms("Tue, 14 Jul 2026 10:19:30 GMT", NOW), 0);
	assert_int_equal(retry_after_ms("99999999999999999999", NOW), 24 * 60 * 60 * 1000);
	assert_int_equal(retry_after_ms("soon", NOW), 0);
	assert_int_equal(retry_after_ms("-5", NOW), 0);
	assert_int_equal(retry_after_ms("", NOW), 0);
	assert_int_equal(retry_after_ms(NULL, NOW), 0);
}

/* ---- tokens ---------------------------------------------------------------- */

/* c-style.md B, token lifetime */
static void token_expires_after_now_plus_its_life(void **state)
{
	static char text[] = "t";
	struct token t = { .text = { text }, .expires_at = token_expiry(1000, 300) };

	(void)state;
	assert_int_equal(t.expires_at, 1300);
	assert_true(token_is_fresh(&t, 1000));
	assert_true(token_is_fresh(&t, 1300 - TOKEN_SKEW_S - 1));
	assert_false(token_is_fresh(&t, 1300 - TOKEN_SKEW_S));
	assert_false(token_is_fresh(&t, 5000));
}

static void token_life_is_at_least_a_minute_and_bounded(void **state)
{
	(void)state;
	assert_int_equal(token_expiry(1000, 0), 1060);
	assert_int_equal(token_expiry(1000, -5), 1060);
	assert_int_equal(token_expiry(1000, 59), 1060);
	assert_int_equal(token_expiry(1000, INT64_MAX), 1000 + TOKEN_LIFE_MAX_S);
}

static void basic_header_is_base64_of_user_and_password(void **state)
{
	CLEANUP(secret_wipe) struct secret s = { 0 };

	(void)state;
	assert_true(secret_basic(&s, "Aladdin", "open sesame"));
	assert_string_equal(s.text, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
	assert_true(secret_basic(&s, "u", ""));
	assert_string_equal(s.text, "Basic dTo=");
}

/* ---- ranges ---------------------------------------------------------------- */

static void content_range_is_read_strictly(void **state)
{
	static const char *const bad[] = { "bytes 5-4/10",
					   "bytes 5-10/10",
					   "bytes */10",
					   "bytes 5-9",
					   "bytes 5-9/",
					   "items 5-9/10",
					   "bytes 5-9/10x",
					   "bytes -5-9/10",
					   "bytes 5 -9/10",
					   "bytes 9999999999999999999-9999999999999999999/*",
					   "" };
	struct content_range r;

	(void)state;
	assert_true(content_range_parse("bytes 5-9/10", &r));
	assert_int_equal(r.first, 5);
	assert_int_equal(r.last, 9);
	assert_int_equal(r.total, 10);
	assert_true(content_range_parse("Bytes 0-0/*", &r));
	assert_int_equal(r.total, -1);
	assert_false(content_range_parse(NULL, &r));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (content_range_parse(bad[i], &r))
			failed("\"%s\" was taken", bad[i]);
}

static void content_range_must_continue_where_we_stand(void **state)
{
	(void)state;
	assert_true(content_range_continues("bytes 5-9/10", 5, 10));
	assert_true(content_range_continues("bytes 5-7/10", 5, 10));
	assert_true(content_range_continues("bytes 5-9/*", 5, 10));
	assert_false(content_range_continues("bytes 4-9/10", 5, 10));
	assert_false(content_range_continues("bytes 6-9/10", 5, 10));
	assert_false(content_range_continues("bytes 5-9/11", 5, 10));
	assert_false(content_range_continues("bytes 5-10/*", 5, 10));
	assert_false(content_range_continues(NULL, 0, 10));
}

/* ---- what registries say --------------------------------------------------- */

static struct error_body said(const char *body)
{
	struct error_body e;

	error_body_parse(bytes_of(body), &e);
	return e;
}

static void error_body_reads_like_docker(void **state)
{
	struct error_body e = said(
		"{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"manifest unknown\",\"detail\":{\"x\":1}}]}");

	(void)state;
	assert_string_equal(e.code, "MANIFEST_UNKNOWN");
	assert_string_equal(e.text, "manifest unknown: manifest unknown");
}

static void error_body_joins_several_errors(void **state)
{
	struct error_body e = said("{\"errors\":[{\"code\":\"NAME_INVALID\",\"message\":\"one\"},{\"code\":\"DENIED\"},"
				   "{\"message\":\"three\"},7,null]}");

	(void)state;
	assert_string_equal(e.code, "NAME_INVALID");
	assert_string_equal(e.text, "name invalid: one; denied; three");
}

static void error_body_takes_what_token_servers_say(void **state)
{
	(void)state;
	assert_string_equal(said("{\"details\":\"incorrect username or password\"}").text,
			    "incorrect username or password");
	assert_string_equal(said("{\"error\":\"invalid_grant\",\"error_description\":\"too old\"}").text, "too old");
	assert_string_equal(said("{\"errors\":{}}").text, "");
	assert_string_equal(said("[1]").text, "");
}

static void error_body_keeps_text_and_drops_pages(void **state)
{
	(void)state;
	assert_string_equal(said("Slow down,\r\n please.\n").text, "Slow down, please.");
	assert_string_equal(said("<html><body>503</body></html>").text, "");
	assert_string_equal(said("{\"errors\":[").text, "");
	assert_string_equal(said("").text, "");
}

static void error_body_cleans_control_characters(void **state)
{
	struct error_body e = said("{\"errors\":[{\"code\":\"X\\u0000Y\",\"message\":"
				   "\"a\\u001b[31m\\nb\\u0085\\u202ec\"}]}");

	(void)state;
	assert_string_equal(e.text, "x y: a [31m b?\?\?\?\?c");
	e = said("a\033\x9b\r\n\x7f\xc2\x85z");
	assert_string_equal(e.text, "a ? ?\?z");
}

static void error_body_cuts_signed_queries(void **state)
{
	struct error_body e = said("cannot get https://s3.example/b/x?X-Amz-Signature=abc&y=1 now? ok");

	(void)state;
	assert_string_equal(e.text, "cannot get https://s3.example/b/x now? ok");
	e = said("{\"errors\":[{\"code\":\"BLOB_UNKNOWN\",\"message\":\"(\\\"http://a/?sig=1\\\")\"}]}");
	assert_string_equal(e.text, "blob unknown: (\"http://a/\")");
}

static void error_body_is_bounded(void **state)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(4 * 1024 * 1024);
	struct error_body e;

	(void)state;
	for (int i = 0; i < 200000; i++)
		buf_puts(&b, "word ");
	error_body_parse(buf_bytes(&b), &e);
	assert_in_range(strlen(e.text), 100, ERROR_TEXT_MAX - 1);
}

static void *parse_nested(void *arg)
{
	enum { LEVELS = 2040 }; /* jansson itself goes to 2048 */
	CLEANUP(buf_free) struct buf b = BUF_INIT(ERROR_BODY_MAX);

	buf_puts(&b, "{\"message\":\"deep\",\"x\":");
	for (int i = 0; i < LEVELS; i++)
		buf_putc(&b, '[');
	for (int i = 0; i < LEVELS; i++)
		buf_putc(&b, ']');
	buf_putc(&b, '}');
	error_body_parse(buf_bytes(&b), arg);
	return NULL;
}

/* On a stack like that of the threads that meet it (service/pool.c). */
static void error_body_does_not_follow_deep_nesting(void **state)
{
	struct error_body e = { .text = "not parsed" };
	pthread_attr_t small;
	pthread_t thread;

	(void)state;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 256 * 1024);
	assert_int_equal(pthread_create(&thread, &small, parse_nested, &e), 0);
	pthread_join(thread, NULL);
	pthread_attr_destroy(&small);
	assert_string_equal(e.text, "");
}

/* ---- proxies --------------------------------------------------------------- */

static void no_proxy_names_hosts_domains_networks_and_ports(void **state)
{
	static const struct {
		const char *list, *url;
		bool straight;
	} rows[] = {
		{ "", "https://a.example/", false },
		{ "*", "https://a.example/", true },
		{ "a.example", "https://a.example/", true },
		{ "a.example", "https://A.example./", true },
		{ "a.example", "https://b.a.example/", true },
		{ ".a.example", "https://a.example/", true },
		{ "a.example", "https://ba.example/", false },
		{ "a.example", "https://example/", false },
		{ ".", "https://a.example/", false },
		{ "x, y a.example", "https://a.example/", true },
		{ "a.example:443", "https://a.example/", true },
		{ "a.example:5000", "https://a.example/", false },
		{ "a.example:5000", "https://a.example:5000/", true },
		{ "10.0.0.0/8", "https://10.9.8.7/", true },
		{ "10.0.0.0/8", "https://11.9.8.7/", false },
		{ "10.9.8.7", "https://10.9.8.7:5000/", true },
		{ "10.9.8.7:80", "https://10.9.8.7:5000/", false },
		{ "8.7", "https://10.9.8.7/", false },
		{ "fd00::/8", "https://[fd00::1]/", true },
		{ "::1", "https://[::1]:5000/", true },
		{ "[::1]:5000", "https://[::1]:5000/", true },
		{ "[::1]:5000", "https://[::1]/", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct proxies p = { .https = (char *)"http://proxy", .none = (char *)(uintptr_t)rows[i].list };
		CLEANUP(url_free) struct url u = { 0 };
		struct err err = ERR_INIT;

		assert_ok(url_parse(rows[i].url, &u, &err), &err);
		if (!proxies_for(&p, &u) != rows[i].straight)
			print_error("%s: %s\n", rows[i].list, rows[i].url);
		assert_int_equal(!proxies_for(&p, &u), rows[i].straight);
	}
}

static void proxies_are_read_as_libcurl_reads_them(void **state)
{
	CLEANUP(proxies_free) struct proxies p = { 0 };
	CLEANUP(url_free) struct url plain = { 0 };
	CLEANUP(url_free) struct url secure = { 0 };
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(url_parse("http://a.example/", &plain, &err), &err);
	assert_ok(url_parse("https://a.example/", &secure, &err), &err);
	setenv("HTTP_PROXY", "http://cgi", 1);
	setenv("HTTPS_PROXY", "http://s", 1);
	assert_ok(proxies_read(&p, &err), &err);
	assert_null(proxies_for(&p, &plain));
	assert_string_equal(proxies_for(&p, &secure), "http://s");
	proxies_free(&p);
	setenv("all_proxy", "socks5h://all", 1);
	setenv("https_proxy", "", 1);
	assert_ok(proxies_read(&p, &err), &err);
	assert_string_equal(proxies_for(&p, &plain), "socks5h://all");
	assert_string_equal(proxies_for(&p, &secure), "http://s");
	unsetenv("HTTP_PROXY");
	unsetenv("HTTPS_PROXY");
	unsetenv("https_proxy");
	unsetenv("all_proxy");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(url_encodes_everything_that_is_not_unreserved),
		cmocka_unit_test(url_appends_to_a_query_that_is_there),
		cmocka_unit_test(url_refuses_users_and_other_schemes),
		cmocka_unit_test(url_origin_is_scheme_host_and_port),
		cmocka_unit_test(url_is_shown_without_its_secrets),
		cmocka_unit_test(url_is_masked_where_it_proves_who_asks),
		cmocka_unit_test(redirect_resolves_relative_locations),
		cmocka_unit_test(redirect_never_leaves_https),
		cmocka_unit_test(redirect_refuses_what_is_no_place),
		cmocka_unit_test(redirect_counts_its_hops),
		cmocka_unit_test(reach_depends_on_where_the_registry_is),
		cmocka_unit_test(no_proxy_names_hosts_domains_networks_and_ports),
		cmocka_unit_test(proxies_are_read_as_libcurl_reads_them),
		cmocka_unit_test(addresses_have_their_class),
		cmocka_unit_test(networks_hold_addresses_by_prefix_and_no_names),
		cmocka_unit_test(server_addresses_become_authorities),
		cmocka_unit_test(insecure_list_takes_hosts_and_networks),
		cmocka_unit_test(insecure_list_names_a_wrong_entry),
		cmocka_unit_test(retry_table_sorts_statuses),
		cmocka_unit_test(retry_pauses_double_with_jitter_and_end),
		cmocka_unit_test(retry_starts_anew_after_progress),
		cmocka_unit_test(retry_has_a_budget_that_progress_earns_back),
		cmocka_unit_test(retry_of_a_first_question_does_not_wait_for_a_dead_host),
		cmocka_unit_test(retry_obeys_retry_after_up_to_its_cap),
		cmocka_unit_test(retry_after_reads_seconds_and_dates),
		cmocka_unit_test(token_expires_after_now_plus_its_life),
		cmocka_unit_test(token_life_is_at_least_a_minute_and_bounded),
		cmocka_unit_test(basic_header_is_base64_of_user_and_password),
		cmocka_unit_test(content_range_is_read_strictly),
		cmocka_unit_test(content_range_must_continue_where_we_stand),
		cmocka_unit_test(error_body_reads_like_docker),
		cmocka_unit_test(error_body_joins_several_errors),
		cmocka_unit_test(error_body_takes_what_token_servers_say),
		cmocka_unit_test(error_body_keeps_text_and_drops_pages),
		cmocka_unit_test(error_body_cleans_control_characters),
		cmocka_unit_test(error_body_cuts_signed_queries),
		cmocka_unit_test(error_body_is_bounded),
		cmocka_unit_test(error_body_does_not_follow_deep_nesting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

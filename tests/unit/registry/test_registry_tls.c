/* Schemes and certificates: who is asked over what, and what is said when it fails. */
#include "service/registry/repository.h"
#include "tests/unit/registry/rig.h"

#define MANIFEST "{\"schemaVersion\":2}"

static void serve(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	(void)arg;
	fake_text(c, q, 200, "", strcmp(q->path, "/v2/") ? MANIFEST : "{}");
}

static int get_from(struct rig *rig, const char *authority, struct err *err)
{
	CLEANUP(repository_unrefp) struct repository *r = open_repository(rig, authority, "a/b", NULL);
	CLEANUP(remote_manifest_free) struct remote_manifest m = { 0 };
	struct reference ref = ref_of(authority, "a/b:1");

	return registry_manifest(r, &ref, NULL, &m, err);
}

static struct rig *trusting(const char *const *insecure, size_t n)
{
	return rig_with((struct registry_options){ .insecure = insecure, .n_insecure = n, .ca_file = fake_ca_file() });
}

/* The strict rules, for a host that is neither loopback nor listed: contact with a
 * host of that kind is not possible here, so the HTTP client is asked directly. */
static int get_strictly(struct rig *rig, const char *scheme, const struct fake *f, enum http_failure *ret_failed,
			struct err *err)
{
	CLEANUP(freep) char *url = format("%s://%s/v2/", scheme, fake_authority(f));
	CLEANUP(http_closep) struct http_exchange *x = NULL;
	struct http_request q = { .method = "GET", .url = url, .ret_failure = ret_failed };

	return http_open(rig->registry->http, &q, NULL, &x, err);
}

/* ---- certificates ---------------------------------------------------------- */

static void extra_ca_is_trusted(void **state)
{
	struct rig *rig = trusting(NULL, 0);
	struct fake *f = fake_start(FAKE_TLS, serve, NULL);
	enum http_failure failed;
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(get_strictly(rig, "https", f, &failed, &err), &err);
	rig_free(rig);
	fake_stop(f);
}

static void unknown_ca_is_refused_with_host_reason_and_cure(void **state)
{
	struct rig *rig = rig_new();
	struct fake *f = fake_start(FAKE_TLS, serve, NULL);
	enum http_failure failed;
	struct err err = ERR_INIT;

	(void)state;
	assert_fails(get_strictly(rig, "https", f, &failed, &err), &err, E_TLS, "Get \"https://127.0.0.1:");
	assert_int_equal(failed, HTTP_FAILED_TLS);
	assert_non_null(strstr(err.text, "the certificate of 127.0.0.1 is not trusted: "));
	assert_non_null(strstr(err.text, "self"));
	assert_non_null(strstr(err.text, "--insecure-registry"));
	assert_int_equal(fake_count(f, "", ""), 0);
	rig_free(rig);
	fake_stop(f);
}

static void name_in_the_certificate_is_checked(void **state)
{
	struct rig *rig = trusting(NULL, 0);
	struct fake *f = fake_start(FAKE_TLS, serve, NULL);
	CLEANUP(freep) char *url = format("https://x.localhost:%u/", fake_port(f));
	struct http_request q = { .method = "GET", .url = url };
	struct http_exchange *x = NULL;
	struct err err = ERR_INIT;

	(void)state;
	/* libcurl resolves names under localhost to loopback itself */
	assert_fails(http_open(rig->registry->http, &q, NULL, &x, &err), &err, E_TLS, "Get \"https://x.localhost:");
	assert_non_null(strstr(err.text, "certificate of x.localhost"));
	rig_free(rig);
	fake_stop(f);
}

/* ---- schemes --------------------------------------------------------------- */

static void http_server_on_an_https_host_reads_like_docker(void **state)
{
	struct rig *rig = rig_new();
	struct fake *f = fake_start(FAKE_PLAIN, serve, NULL);
	CLEANUP(freep)
	char *text = format("Get \"https://%s/v2/\": http: server gave HTTP response to HTTPS client",
			    fake_authority(f));
	enum http_failure failed;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(get_strictly(rig, "https", f, &failed, &err), E_TLS);
	assert_string_equal(err.text, text);
	assert_int_equal(failed, HTTP_FAILED_NOT_TLS);
	rig_free(rig);
	fake_stop(f);
}

static void loopback_speaks_https_where_it_can(void **state)
{
	struct rig *rig = rig_new();
	struct fake *f = fake_start(FAKE_TLS, serve, NULL);
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(get_from(rig, fake_authority(f), &err), &err);
	assert_int_equal(fake_connections(f), 1);
	rig_free(rig);
	fake_stop(f);
}

static void loopback_falls_back_to_http_and_remembers(void **state)
{
	struct rig *rig = rig_new();
	struct fake *f = fake_start(FAKE_PLAIN, serve, NULL);
	struct err err = ERR_INIT;

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_ok(get_from(rig, fake_authority(f), &err), &err);
	assert_int_equal(fake_count(f, "GET", "/v2/a/"), 5);
	assert_int_equal(fake_connections(f), 2); /* one TLS hello, one for the rest */
	rig_free(rig);
	fake_stop(f);
}

static void hang_up_at_hello(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	(void)q;
	(void)arg;
	fake_hang_up(c);
}

/* An answer over https, however bad, is an answer: no fallback (registry-cri.md 1.3). */
static void refuse_all(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	const int *status = arg;

	fake_text(c, q, *status, "", "");
}

static void no_fallback_after_an_answer(void **state)
{
	static const int statuses[] = { 401, 404 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		struct rig *rig = rig_new();
		struct fake *f = fake_start(FAKE_TLS, refuse_all, (void *)(uintptr_t)&statuses[i]);
		struct err err = ERR_INIT;

		assert_int_not_equal(get_from(rig, fake_authority(f), &err), OK);
		assert_null(strstr(err.text, "http://"));
		rig_free(rig);
		fake_stop(f);
	}
}

/* c-style.md A7: no fallback after TLS was spoken and then failed */
static void no_fallback_after_tls_broke_off_with_an_answer_pending(void **state)
{
	struct rig *rig = rig_new();
	struct fake *f = fake_start(FAKE_TLS, hang_up_at_hello, NULL);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(get_from(rig, fake_authority(f), &err), E_REGISTRY);
	assert_non_null(strstr(err.text, "https://"));
	rig_free(rig);
	fake_stop(f);
}

/* Loopback without a port is asked over https only. Where something listens at 443
 * of this machine, there is nothing to see. */
static void strict_hosts_never_fall_back(void **state)
{
	struct rig *rig = rig_new();
	struct host *host = NULL;
	struct host_view view;
	enum http_failure failed;
	struct err err = ERR_INIT;
	int code;

	(void)state;
	assert_ok(host_get_default(rig->registry->hosts, "127.0.0.1", &host, &err), &err);
	code = host_contact(host, NULL, &view, &failed, &err);
	host_put(rig->registry->hosts, host);
	if (code == OK)
		host_view_free(&view);
	rig_free(rig);
	if (code == OK)
		skip();
	assert_string_equal(err.text,
			    "Get \"https://127.0.0.1/v2/\": dial tcp 127.0.0.1:443: connect: connection refused");
}

static void dead_insecure_registry_reads_like_docker(void **state)
{
	struct rig *rig = rig_new();
	unsigned port = free_port();
	CLEANUP(freep) char *authority = format("127.0.0.1:%u", port);
	CLEANUP(freep)
	char *text = format("Get \"http://%s/v2/\": dial tcp %s: connect: connection refused", authority, authority);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(get_from(rig, authority, &err), E_REGISTRY);
	assert_string_equal(err.text, text);
	assert_int_equal(rig_sleeps(rig), 0);
	rig_free(rig);
}

static void scheme_is_found_out_anew_after_a_failure(void **state)
{
	struct rig *rig = rig_new();
	struct fake *plain = fake_start(FAKE_PLAIN, serve, NULL);
	CLEANUP(freep) char *authority = strdup(fake_authority(plain));
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(get_from(rig, authority, &err), &err);
	fake_stop(plain);
	/* the first notices that the host is gone, the second asks from the start */
	assert_int_equal(get_from(rig, authority, &err), E_REGISTRY);
	assert_int_equal(get_from(rig, authority, &err), E_REGISTRY);
	assert_non_null(strstr(err.text, "/v2/\": dial tcp"));
	rig_free(rig);
}

/* ---- redirects from https -------------------------------------------------- */

static void send_to_http(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	CLEANUP(freep) char *headers = format("Location: http://%s/x\r\n", (const char *)arg);

	if (!strcmp(q->path, "/v2/"))
		fake_text(c, q, 200, "", "");
	else
		fake_text(c, q, 302, headers, "");
}

static void redirect_from_https_to_http_is_refused(void **state)
{
	struct rig *rig = rig_new();
	struct fake *plain = fake_start(FAKE_PLAIN, serve, NULL);
	struct fake *tls = fake_start(FAKE_TLS, send_to_http, (void *)(uintptr_t)fake_authority(plain));
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(get_from(rig, fake_authority(tls), &err), E_DENIED);
	assert_non_null(strstr(err.text, "redirect refused: from https to"));
	assert_int_equal(fake_connections(plain), 0);
	rig_free(rig);
	fake_stop(tls);
	fake_stop(plain);
}

static void ask_for_token_over_http(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	CLEANUP(freep)
	char *headers = format("WWW-Authenticate: Bearer realm=\"http://%s/token\"\r\n", (const char *)arg);

	fake_text(c, q, 401, headers, "");
}

static void realm_of_an_https_registry_must_be_https(void **state)
{
	struct rig *rig = rig_new();
	struct fake *plain = fake_start(FAKE_PLAIN, serve, NULL);
	struct fake *tls = fake_start(FAKE_TLS, ask_for_token_over_http, (void *)(uintptr_t)fake_authority(plain));
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(get_from(rig, fake_authority(tls), &err), E_DENIED);
	assert_non_null(strstr(err.text, "refused, as it is not https"));
	assert_int_equal(fake_connections(plain), 0);
	rig_free(rig);
	fake_stop(tls);
	fake_stop(plain);
}

static void tls_connections_are_used_again(void **state)
{
	struct rig *rig = trusting(NULL, 0);
	struct fake *f;
	struct err err = ERR_INIT;

	(void)state;
	f = fake_start(FAKE_TLS, serve, NULL);
	for (int i = 0; i < 20; i++)
		assert_ok(get_from(rig, fake_authority(f), &err), &err);
	assert_int_equal(fake_connections(f), 1);
	rig_free(rig);
	fake_stop(f);
}

static void unreadable_ca_file_is_named(void **state)
{
	struct rig *rig = rig_with((struct registry_options){ .ca_file = "/nonexistent/ca.pem" });
	struct fake *f = fake_start(FAKE_TLS, serve, NULL);
	enum http_failure failed;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(get_strictly(rig, "https", f, &failed, &err), E_TLS);
	assert_non_null(strstr(err.text, "/nonexistent/ca.pem"));
	rig_free(rig);
	fake_stop(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(extra_ca_is_trusted),
		cmocka_unit_test(unknown_ca_is_refused_with_host_reason_and_cure),
		cmocka_unit_test(name_in_the_certificate_is_checked),
		cmocka_unit_test(http_server_on_an_https_host_reads_like_docker),
		cmocka_unit_test(loopback_speaks_https_where_it_can),
		cmocka_unit_test(loopback_falls_back_to_http_and_remembers),
		cmocka_unit_test(no_fallback_after_an_answer),
		cmocka_unit_test(no_fallback_after_tls_broke_off_with_an_answer_pending),
		cmocka_unit_test(strict_hosts_never_fall_back),
		cmocka_unit_test(dead_insecure_registry_reads_like_docker),
		cmocka_unit_test(scheme_is_found_out_anew_after_a_failure),
		cmocka_unit_test(redirect_from_https_to_http_is_refused),
		cmocka_unit_test(realm_of_an_https_registry_must_be_https),
		cmocka_unit_test(tls_connections_are_used_again),
		cmocka_unit_test(unreadable_ca_file_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

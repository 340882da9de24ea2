/* Manifests and small blobs: what is asked, what is believed, what is said. */
#include <stdatomic.h>

#include "tests/unit/registry/rig.h"

#define BODY "{\"schemaVersion\":2,\"layers\":[]}"

static const char oci[] = "application/vnd.oci.image.manifest.v1+json";

/* One answer for HEAD, one for GET; /v2/ is open. */
struct world {
	struct rig *rig;
	struct fake *registry;
	int head_status, get_status; /* 0: 200 */
	const char *head_headers, *get_headers, *body;
	size_t body_len;     /* 0: of the text */
	atomic_int failures; /* answer so often with `failure` first */
	int failure;
	const char *failure_headers;
	bool hang_up; /* in the middle of the body, while failures last */
	struct err err;
};

static void serve(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	struct world *w = arg;
	bool head = !strcmp(q->method, "HEAD");
	size_t len = w->body_len ? w->body_len : strlen(w->body);

	if (!strcmp(q->path, "/v2/")) {
		fake_text(c, q, 200, "", "{}");
	} else if (atomic_fetch_sub(&w->failures, 1) > 0) {
		if (w->hang_up) {
			fake_puts(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\npart");
			fake_hang_up(c);
		} else {
			fake_text(c, q, w->failure, w->failure_headers ? w->failure_headers : "",
				  "<html><b>busy</b></html>");
		}
	} else if (head) {
		fake_reply(c, q, w->head_status ? w->head_status : 200, w->head_headers, w->body, len);
	} else {
		fake_reply(c, q, w->get_status ? w->get_status : 200, w->get_headers, w->body, len);
	}
}

static void start(struct world *w)
{
	if (!w->body)
		w->body = BODY;
	if (!w->get_headers)
		w->get_headers = "Content-Type: application/vnd.oci.image.manifest.v1+json\r\n";
	if (!w->head_headers)
		w->head_headers = w->get_headers;
	if (!w->rig)
		w->rig = rig_new();
	w->registry = fake_start(FAKE_PLAIN, serve, w);
}

static void stop(struct world *w)
{
	rig_free(w->rig);
	fake_stop(w->registry);
}

typedef int question(struct repository *r, const struct reference *ref, struct cancel *cancel,
		     struct remote_manifest *ret_manifest, struct err *err);

static int ask(struct world *w, question *ask_for, const char *name, struct remote_manifest *m)
{
	CLEANUP(repository_unrefp)
	struct repository *r = open_repository(w->rig, fake_authority(w->registry), name, NULL);
	struct reference ref = ref_of(fake_authority(w->registry), name);

	return ask_for(r, &ref, NULL, m, &w->err);
}

static int ask_and_forget(struct world *w, question *ask_for, const char *name)
{
	CLEANUP(remote_manifest_free) struct remote_manifest m = { 0 };

	return ask(w, ask_for, name, &m);
}

static void assert_digest(const struct digest *d, const char *text)
{
	char got[DIGEST_TEXT_MAX];

	assert_string_equal(digest_text(d, got), text);
}

static const char *by_digest(const char *path, const char *body)
{
	static char name[256];

	snprintf(name, sizeof name, "%s@%s", path, digest_text_of(body, strlen(body)));
	return name;
}

/* ---- what is asked --------------------------------------------------------- */

/* c-style.md A21: the headers that were made are the headers that are sent */
static void manifest_is_asked_for_with_all_types(void **state)
{
	struct world w = { 0 };
	struct fake_request q;
	const char *accept;

	(void)state;
	start(&w);
	assert_ok(ask_and_forget(&w, registry_manifest, "a/b:1"), &w.err);
	assert_true(fake_last(w.registry, "GET", "/v2/a/b/manifests/1", &q));
	accept = fake_header(&q, "Accept");
	assert_non_null(strstr(accept, "application/vnd.oci.image.index.v1+json"));
	assert_non_null(strstr(accept, oci));
	assert_non_null(strstr(accept, "application/vnd.docker.distribution.manifest.list.v2+json"));
	assert_non_null(strstr(accept, "application/vnd.docker.distribution.manifest.v2+json"));
	assert_string_equal(fake_header(&q, "Accept-Encoding"), "identity");
	stop(&w);
}

static void manifest_by_tag_gives_bytes_digest_and_type(void **state)
{
	struct world w = { .get_headers =
				   "Content-Type: Application/Vnd.OCI.image.manifest.v1+JSON; charset=utf-8\r\n" };
	CLEANUP(remote_manifest_free) struct remote_manifest m = { 0 };

	(void)state;
	start(&w);
	assert_ok(ask(&w, registry_manifest, "a/b:1", &m), &w.err);
	assert_string_equal(buf_text(&m.body), BODY);
	assert_int_equal(m.size, strlen(BODY));
	assert_string_equal(m.media_type, oci);
	assert_digest(&m.digest, digest_text_of(BODY, strlen(BODY)));
	stop(&w);
}

static void generic_content_types_say_nothing(void **state)
{
	static const char *const types[] = { "Content-Type: text/plain\r\n", "Content-Type: application/json; a=b\r\n",
					     "Content-Type: application/octet-stream\r\n", "" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct world w = { .get_headers = types[i] };
		CLEANUP(remote_manifest_free) struct remote_manifest m = { 0 };

		start(&w);
		assert_ok(ask(&w, registry_manifest, "a/b:1", &m), &w.err);
		assert_string_equal(m.media_type, "");
		stop(&w);
	}
}

/* ---- digests --------------------------------------------------------------- */

/* c-style.md A2: digest of the bytes must equal the requested one, always */
static void manifest_by_digest_is_compared_with_its_bytes(void **state)
{
	struct world w = { .body = "{\"other\":1}" };
	char header[256];

	(void)state;
	snprintf(header, sizeof header, "Docker-Content-Digest: %s\r\n", digest_text_of(BODY, strlen(BODY)));
	w.get_headers = header;
	start(&w);
	assert_fails(ask_and_forget(&w, registry_manifest, by_digest("a/b", BODY)), &w.err, E_DIGEST_MISMATCH,
		     "manifest for 127.0.0.1:");
	w.body = BODY;
	assert_ok(ask_and_forget(&w, registry_manifest, by_digest("a/b", BODY)), &w.err);
	stop(&w);
}

/* c-style.md A2, A3: the header is a hint only */
static void digest_header_that_lies_does_not_count(void **state)
{
	static const char *const headers[] = {
		"Docker-Content-Digest: sha256:0000000000000000000000000000000000000000000000000000000000000000\r\n",
		"Docker-Content-Digest: nonsense\r\n",
		"Docker-Content-Digest: sha256:abc\r\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
		struct world w = { .get_headers = headers[i] };
		CLEANUP(remote_manifest_free) struct remote_manifest m = { 0 };

		start(&w);
		assert_ok(ask(&w, registry_manifest, "a/b:1", &m), &w.err);
		assert_digest(&m.digest, digest_text_of(BODY, strlen(BODY)));
		stop(&w);
	}
}

static void digest_wins_over_tag(void **state)
{
	struct world w = { 0 };
	CLEANUP(freep) char *name = format("a/b:1@%s", digest_text_of(BODY, strlen(BODY)));

	(void)state;
	start(&w);
	assert_ok(ask_and_forget(&w, registry_manifest, name), &w.err);
	assert_int_equal(fake_count(w.registry, "GET", "/v2/a/b/manifests/sha256:"), 1);
	assert_int_equal(fake_count(w.registry, "GET", "/v2/a/b/manifests/1"), 0);
	stop(&w);
}

/* ---- HEAD ------------------------------------------------------------------ */

static void head_is_enough_when_it_tells_all(void **state)
{
	struct world w = { 0 };
	CLEANUP(remote_manifest_free) struct remote_manifest m = { 0 };
	char header[256];

	(void)state;
	snprintf(header, sizeof header, "Content-Type: %s\r\nDocker-Content-Digest: %s\r\n", oci,
		 digest_text_of(BODY, strlen(BODY)));
	w.head_headers = header;
	start(&w);
	assert_ok(ask(&w, registry_resolve, "a/b:1", &m), &w.err);
	assert_int_equal(m.size, strlen(BODY));
	assert_int_equal(m.body.len, 0);
	assert_digest(&m.digest, digest_text_of(BODY, strlen(BODY)));
	assert_int_equal(fake_count(w.registry, "GET", "/v2/a/"), 0);
	stop(&w);
}

static void head_without_digest_or_type_is_followed_by_get(void **state)
{
	static const char *const headers[] = {
		"",
		"Content-Type: application/vnd.oci.image.manifest.v1+json\r\n",
		"Content-Type: application/vnd.oci.image.manifest.v1+json\r\nDocker-Content-Digest: sha256:12\r\n",
		"Docker-Content-Digest: sha256:0000000000000000000000000000000000000000000000000000000000000000\r\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
		struct world w = { .head_headers = headers[i] };
		CLEANUP(remote_manifest_free) struct remote_manifest m = { 0 };

		start(&w);
		assert_ok(ask(&w, registry_resolve, "a/b:1", &m), &w.err);
		assert_digest(&m.digest, digest_text_of(BODY, strlen(BODY)));
		assert_int_equal(fake_count(w.registry, "GET", "/v2/a/"), 1);
		stop(&w);
	}
}

static void head_405_is_followed_by_get(void **state)
{
	struct world w = { .head_status = 405 };

	(void)state;
	start(&w);
	assert_ok(ask_and_forget(&w, registry_resolve, "a/b:1"), &w.err);
	assert_int_equal(fake_count(w.registry, "GET", "/v2/a/"), 1);
	stop(&w);
}

static void head_with_another_digest_than_asked_for_does_not_count(void **state)
{
	struct world w = { .head_headers = "Content-Type: application/vnd.oci.image.manifest.v1+json\r\n"
					   "Docker-Content-Digest: sha256:00000000000000000000000000000000000000000000"
					   "00000000000000000000\r\n" };

	(void)state;
	start(&w);
	assert_ok(ask_and_forget(&w, registry_resolve, by_digest("a/b", BODY)), &w.err);
	assert_int_equal(fake_count(w.registry, "GET", "/v2/a/"), 1);
	stop(&w);
}

/* ---- limits ---------------------------------------------------------------- */

static void hostile_manifest_sizes_are_refused(void **state)
{
	static uint8_t huge[MANIFEST_BYTES_MAX + 1];
	struct world w = { .body = (const char *)huge, .body_len = sizeof huge };

	(void)state;
	start(&w);
	assert_int_equal(ask_and_forget(&w, registry_manifest, "a/b:1"), E_LIMIT);
	stop(&w);
}

static void serve_endless_chunks(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	static const char chunk[] = "10000\r\n", end[] = "\r\n";
	static char data[0x10000];

	(void)arg;
	if (!strcmp(q->path, "/v2/")) {
		fake_text(c, q, 200, "", "");
		return;
	}
	fake_puts(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	while (fake_puts(c, chunk) && fake_send(c, data, sizeof data) && fake_puts(c, end))
		;
}

static void endless_manifests_are_cut_off(void **state)
{
	struct world w = { 0 };

	(void)state;
	start(&w);
	fake_stop(w.registry);
	w.registry = fake_start(FAKE_PLAIN, serve_endless_chunks, NULL);
	assert_int_equal(ask_and_forget(&w, registry_manifest, "a/b:1"), E_LIMIT);
	stop(&w);
}

/* ---- refusals in docker's words -------------------------------------------- */

struct refusal_case {
	int status, code;
	const char *body, *text; /* text with ~ for the registry's authority */
};

static void check_refusal(const struct refusal_case *rc)
{
	struct world w = { .head_status = rc->status, .get_status = rc->status, .body = rc->body };
	CLEANUP(freep) char *text = NULL;
	int before = (int)strcspn(rc->text, "~");

	start(&w);
	text = format("%.*s%s%s", before, rc->text, rc->text[before] ? fake_authority(w.registry) : "",
		      rc->text[before] ? rc->text + before + 1 : "");
	assert_int_equal(ask_and_forget(&w, registry_resolve, "g/nosuch:latest"), rc->code);
	assert_string_equal(w.err.text, text);
	stop(&w);
}

static void refusals_read_like_docker(void **state)
{
	static const struct refusal_case cases[] = {
		{ 404, E_MANIFEST_UNKNOWN,
		  "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"manifest unknown\",\"detail\":{}}]}",
		  "manifest for ~/g/nosuch:latest not found: manifest unknown: manifest unknown" },
		{ 404, E_NOT_FOUND,
		  "{\"errors\":[{\"code\":\"NAME_UNKNOWN\",\"message\":\"repository name not known to registry\"}]}",
		  "repository ~/g/nosuch not found: name unknown: repository name not known to registry" },
		{ 404, E_MANIFEST_UNKNOWN, "<html>not here</html>",
		  "manifest for ~/g/nosuch:latest not found: manifest unknown: the registry answered 404 Not Found" },
		{ 403, E_DENIED,
		  "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"requested access to the resource is denied\"}]}",
		  "pull access denied for ~/g/nosuch, repository does not exist or may require 'docker login': denied: "
		  "requested access to the resource is denied" },
		{ 401, E_DENIED, "",
		  "pull access denied for ~/g/nosuch, repository does not exist or may require 'docker login': "
		  "unauthorized: authentication required" },
		{ 401, E_DENIED, "{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"wrong password\"}]}",
		  "pull access denied for ~/g/nosuch, repository does not exist or may require 'docker login': "
		  "unauthorized: wrong password" },
		{ 400, E_UNKNOWN, "{\"errors\":[{\"code\":\"NAME_INVALID\",\"message\":\"a \\u001b[1mbad\\nname\"}]}",
		  "Get \"http://~/v2/g/nosuch/manifests/latest\": received unexpected HTTP status: 400 Bad Request: "
		  "name invalid: a [1mbad name" },
		{ 418, E_UNKNOWN, "short and stout",
		  "Get \"http://~/v2/g/nosuch/manifests/latest\": received unexpected HTTP status: 418 I'm a teapot: "
		  "short and stout" },
		{ 501, E_REGISTRY, "<p>",
		  "Get \"http://~/v2/g/nosuch/manifests/latest\": received unexpected HTTP status: 501 Not "
		  "Implemented" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		check_refusal(&cases[i]);
}

static void serve_by_accept(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	const char *accept = fake_header(q, "Accept");

	(void)arg;
	if (!strcmp(q->path, "/v2/"))
		fake_text(c, q, 200, "", "");
	else if (accept && strstr(accept, oci))
		fake_text(c, q, 200, "", BODY);
	else
		fake_text(c, q, 404, "",
			  "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"OCI, no accept\"}]}");
}

static void registry_that_hides_types_not_asked_for_is_served(void **state)
{
	struct world w = { 0 };

	(void)state;
	start(&w);
	fake_stop(w.registry);
	w.registry = fake_start(FAKE_PLAIN, serve_by_accept, NULL);
	assert_ok(ask_and_forget(&w, registry_manifest, "a/b:1"), &w.err);
	stop(&w);
}

/* c-style.md A6, A13: an error page is no manifest, and its percent signs no format */
static void error_pages_are_never_taken_for_content(void **state)
{
	struct world w = { .head_status = 500, .get_status = 500, .body = "%s%n%s 100%" };

	(void)state;
	start(&w);
	assert_int_equal(ask_and_forget(&w, registry_manifest, "a/b:1"), E_REGISTRY);
	assert_non_null(strstr(w.err.text, "500 Internal Server Error: %s%n%s 100%"));
	stop(&w);
}

/* ---- retries --------------------------------------------------------------- */

/* c-style.md A20: each attempt is made from the original name, and the last failure is told */
static void server_errors_are_asked_again(void **state)
{
	struct world w = { .failures = 2, .failure = 503 };

	(void)state;
	start(&w);
	assert_ok(ask_and_forget(&w, registry_manifest, "a/b:1"), &w.err);
	assert_int_equal(fake_count(w.registry, "GET", "/v2/a/b/manifests/1"), 3);
	assert_int_equal(rig_sleeps(w.rig), 2);
	assert_true(rig_sleep_ms(w.rig, 1) > rig_sleep_ms(w.rig, 0));
	stop(&w);
}

static void server_errors_that_stay_are_told(void **state)
{
	struct world w = { .failures = 1000, .failure = 503 };

	(void)state;
	start(&w);
	assert_int_equal(ask_and_forget(&w, registry_manifest, "a/b:1"), E_REGISTRY);
	assert_non_null(strstr(w.err.text, "received unexpected HTTP status: 503 Service Unavailable"));
	assert_null(strstr(w.err.text, "<"));
	assert_int_equal(fake_count(w.registry, "GET", "/v2/a/"), 4);
	stop(&w);
}

static void broken_bodies_are_asked_for_again(void **state)
{
	struct world w = { .failures = 2, .hang_up = true };

	(void)state;
	start(&w);
	assert_ok(ask_and_forget(&w, registry_manifest, "a/b:1"), &w.err);
	stop(&w);
}

static void throttled_request_waits_as_told_in_seconds(void **state)
{
	struct world w = { .failures = 1, .failure = 429, .failure_headers = "Retry-After: 7\r\n" };

	(void)state;
	start(&w);
	assert_ok(ask_and_forget(&w, registry_manifest, "a/b:1"), &w.err);
	assert_int_equal(rig_sleeps(w.rig), 1);
	assert_int_equal(rig_sleep_ms(w.rig, 0), 7000);
	stop(&w);
}

static void throttled_request_waits_as_told_by_a_date(void **state)
{
	/* 20 s after the rig's 1800000000 */
	struct world w = { .failures = 1,
			   .failure = 429,
			   .failure_headers = "Retry-After: Fri, 15 Jan 2027 08:00:20 GMT\r\n" };

	(void)state;
	start(&w);
	assert_ok(ask_and_forget(&w, registry_manifest, "a/b:1"), &w.err);
	assert_int_equal(rig_sleep_ms(w.rig, 0), 20000);
	stop(&w);
}

static void throttling_for_hours_is_told_at_once(void **state)
{
	struct world w = { .failures = 1000, .failure = 429, .failure_headers = "Retry-After: 3600\r\n" };

	(void)state;
	start(&w);
	assert_int_equal(ask_and_forget(&w, registry_manifest, "a/b:1"), E_RATE_LIMITED);
	assert_int_equal(w.err.retry_after_ms, 3600 * 1000);
	assert_non_null(strstr(w.err.text, "retry after 3600 s"));
	assert_int_equal(rig_sleeps(w.rig), 0);
	stop(&w);
}

static void cancelled_question_stops_asking(void **state)
{
	struct world w = { .failures = 1000, .failure = 503 };
	struct cancel *cancel = cancel_new();
	struct reference ref;
	CLEANUP(remote_manifest_free) struct remote_manifest m = { 0 };
	struct repository *r;

	(void)state;
	start(&w);
	ref = ref_of(fake_authority(w.registry), "a/b:1");
	r = open_repository(w.rig, fake_authority(w.registry), "a/b", NULL);
	cancel_fire(cancel, E_CANCELLED);
	assert_int_equal(registry_manifest(r, &ref, cancel, &m, &w.err), E_CANCELLED);
	repository_unref(r);
	cancel_unref(cancel);
	stop(&w);
}

/* ---- redirects ------------------------------------------------------------- */

static void send_to(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	CLEANUP(freep) char *headers = format("Location: %s\r\n", (const char *)arg);

	if (!strcmp(q->path, "/v2/"))
		fake_text(c, q, 200, "", "");
	else
		fake_text(c, q, 307, headers, "<a>moved</a>");
}

static int ask_redirecting(const char *location, struct err *err, unsigned *ret_requests)
{
	struct rig *rig = rig_new();
	struct fake *f = fake_start(FAKE_PLAIN, send_to, (void *)(uintptr_t)location);
	struct repository *r = open_repository(rig, fake_authority(f), "a/b", NULL);
	struct reference ref = ref_of(fake_authority(f), "a/b:1");
	CLEANUP(remote_manifest_free) struct remote_manifest m = { 0 };
	int code = registry_manifest(r, &ref, NULL, &m, err);

	*ret_requests = fake_count(f, "GET", "/");
	repository_unref(r);
	rig_free(rig);
	fake_stop(f);
	return code;
}

static void redirect_loops_end(void **state)
{
	struct err err = ERR_INIT;
	unsigned requests;

	(void)state;
	assert_int_equal(ask_redirecting("/v2/a/b/manifests/1", &err, &requests), E_REGISTRY);
	assert_non_null(strstr(err.text, "stopped after 10 redirects"));
	assert_int_equal(requests, 1 + 11);
}

static void redirects_to_metadata_services_are_refused(void **state)
{
	struct err err = ERR_INIT;
	unsigned requests;

	(void)state;
	assert_int_equal(ask_redirecting("http://169.254.169.254/latest/meta-data/?x=1", &err, &requests), E_DENIED);
	assert_non_null(strstr(err.text, "link-local"));
	assert_null(strstr(err.text, "x=1"));
	assert_int_equal(ask_redirecting("file:///etc/passwd", &err, &requests), E_REGISTRY);
}

/* ---- connections ----------------------------------------------------------- */

static void many_small_requests_use_one_connection(void **state)
{
	struct world w = { 0 };

	(void)state;
	start(&w);
	for (int i = 0; i < 100; i++) {
		assert_ok(ask_and_forget(&w, registry_manifest, "a/b:1"), &w.err);
		assert_ok(ask_and_forget(&w, registry_resolve, "a/b:1"), &w.err);
	}
	/* one for the TLS hello that the contact began with, one for all the rest */
	assert_int_equal(fake_connections(w.registry), 2);
	stop(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(manifest_is_asked_for_with_all_types),
		cmocka_unit_test(manifest_by_tag_gives_bytes_digest_and_type),
		cmocka_unit_test(generic_content_types_say_nothing),
		cmocka_unit_test(manifest_by_digest_is_compared_with_its_bytes),
		cmocka_unit_test(digest_header_that_lies_does_not_count),
		cmocka_unit_test(digest_wins_over_tag),
		cmocka_unit_test(head_is_enough_when_it_tells_all),
		cmocka_unit_test(head_without_digest_or_type_is_followed_by_get),
		cmocka_unit_test(head_405_is_followed_by_get),
		cmocka_unit_test(head_with_another_digest_than_asked_for_does_not_count),
		cmocka_unit_test(hostile_manifest_sizes_are_refused),
		cmocka_unit_test(endless_manifests_are_cut_off),
		cmocka_unit_test(refusals_read_like_docker),
		cmocka_unit_test(registry_that_hides_types_not_asked_for_is_served),
		cmocka_unit_test(error_pages_are_never_taken_for_content),
		cmocka_unit_test(server_errors_are_asked_again),
		cmocka_unit_test(server_errors_that_stay_are_told),
		cmocka_unit_test(broken_bodies_are_asked_for_again),
		cmocka_unit_test(throttled_request_waits_as_told_in_seconds),
		cmocka_unit_test(throttled_request_waits_as_told_by_a_date),
		cmocka_unit_test(throttling_for_hours_is_told_at_once),
		cmocka_unit_test(cancelled_question_stops_asking),
		cmocka_unit_test(redirect_loops_end),
		cmocka_unit_test(redirects_to_metadata_services_are_refused),
		cmocka_unit_test(many_small_requests_use_one_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

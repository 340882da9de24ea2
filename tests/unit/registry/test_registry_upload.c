/* What is sent: bodies from a source, where sessions go on, how far they are. */
#include <pthread.h>

#include "service/registry/upload.h"
#include "tests/unit/registry/http_rig.h"

/* ---- where a session goes on ----------------------------------------------------- */

static int locate(const char *origin, const char *location, char **ret, struct err *err)
{
	CLEANUP(url_free) struct url base = { 0 }, at = { 0 };
	CLEANUP(freep) char *text = format("%sv2/a/blobs/uploads/?x=1", origin);

	*ret = NULL;
	assert_ok(url_parse(origin, &base, err), err);
	assert_ok(url_parse(text, &at, err), err);
	return upload_location(&base, &at, location, ret, err);
}

static void location_is_taken_as_it_was_sent(void **state)
{
	static const struct {
		const char *origin, *location, *expected;
	} cases[] = {
		{ "http://r:5000/",
		  "/v2/a/blobs/uploads/1?_state=a-_%3D==", "http://r:5000/v2/a/blobs/uploads/1?_state=a-_%3D==" },
		{ "http://r:5000/", "http://r:5000/up?x=y", "http://r:5000/up?x=y" },
		{ "http://r:5000/", "2", "http://r:5000/v2/a/blobs/uploads/2" },
		{ "https://r/", "https://storage.example/up?sig=x%2By", "https://storage.example/up?sig=x%2By" },
		{ "https://r:8443/", "http://r:8443/v2/up?_state=x", "https://r:8443/v2/up?_state=x" },
		{ "https://r:8443/", "http://r/v2/up", "https://r:8443/v2/up" },
		{ "https://R.example/", "http://r.EXAMPLE/v2/up", "https://R.example/v2/up" },
		{ "http://r:5000/", "https://other/v2/up", "https://other/v2/up" },
	};
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(freep) char *got = NULL;

		assert_ok(locate(cases[i].origin, cases[i].location, &got, &err), &err);
		assert_string_equal(got, cases[i].expected);
	}
}

static void location_that_is_none_or_leaves_tls_is_refused(void **state)
{
	struct err err = ERR_INIT;
	char *got;

	(void)state;
	assert_int_equal(locate("https://r/", NULL, &got, &err), E_REGISTRY);
	assert_int_equal(locate("https://r/", "", &got, &err), E_REGISTRY);
	assert_int_equal(locate("https://r/", "ftp://r/up", &got, &err), E_REGISTRY);
	assert_int_equal(locate("https://r/", "http://user:secret@r/up", &got, &err), E_REGISTRY);
	assert_null(strstr(err.text, "secret"));
	assert_int_equal(locate("https://r/", "http://other/up?sig=secret", &got, &err), E_DENIED);
	assert_null(strstr(err.text, "secret"));
	assert_null(got);
}

static void range_of_a_session_is_read_strictly(void **state)
{
	(void)state;
	assert_int_equal(upload_range_end("0-99"), 100);
	assert_int_equal(upload_range_end("bytes=0-99"), 100);
	assert_int_equal(upload_range_end("0-0"), 1);
	assert_int_equal(upload_range_end(NULL), -1);
	assert_int_equal(upload_range_end(""), -1);
	assert_int_equal(upload_range_end("1-5"), -1);
	assert_int_equal(upload_range_end("0-"), -1);
	assert_int_equal(upload_range_end("0-5,7-9"), -1);
	assert_int_equal(upload_range_end("0-99999999999999999999"), -1);
}

/* ---- a body from a source --------------------------------------------------------- */

struct pattern {
	int64_t fail_at; /* -1: never */
	int64_t most;	 /* highest offset that was asked for */
};

static int read_pattern(void *arg, int64_t offset, uint8_t *data, size_t size, size_t *ret_len, struct err *err)
{
	struct pattern *p = arg;

	if (p->fail_at >= 0 && offset >= p->fail_at)
		return fail(err, E_CORRUPT, "the source is broken");
	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t)('a' + (offset + (int64_t)i) % 26);
	p->most = offset + (int64_t)size;
	*ret_len = size;
	return OK;
}

static int send_pattern(struct http_rig *r, struct pattern *p, int64_t length, const char *method,
			struct cancel *cancel, struct http_exchange **ret)
{
	struct http_source source = { .length = length, .read = read_pattern, .arg = p };

	return open_with(r, (struct http_request){ .method = method, .source = &source, .bulk = true }, "/up", cancel,
			 ret);
}

static void body_of_each_method_arrives_without_asking_first(void **state)
{
	static const char *const methods[] = { "PUT", "PATCH", "POST" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		struct http_rig r = http_rig_start(hello, NULL, (struct http_options){ 0 });
		struct pattern p = { .fail_at = -1 };
		struct http_exchange *x = NULL;
		struct fake_request q;

		assert_ok(send_pattern(&r, &p, 52, methods[i], NULL, &x), &r.err);
		assert_true(fake_last(r.fake, methods[i], "/up", &q));
		assert_string_equal(q.body, "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz");
		assert_string_equal(fake_header(&q, "Content-Length"), "52");
		assert_null(fake_header(&q, "Expect"));
		http_close(x);
		http_rig_stop(&r);
	}
}

static void empty_body_has_a_length(void **state)
{
	struct http_rig r = http_rig_start(hello, NULL, (struct http_options){ 0 });
	struct http_exchange *x = NULL;
	struct fake_request q;

	(void)state;
	assert_ok(open_with(&r, (struct http_request){ .method = "PUT" }, "/p", NULL, &x), &r.err);
	assert_true(fake_last(r.fake, "PUT", "/p", &q));
	assert_string_equal(fake_header(&q, "Content-Length"), "0");
	assert_null(fake_header(&q, "Content-Type"));
	http_close(x);
	http_rig_stop(&r);
}

/* The head of the request is taken, nothing of its body. */
static void take_nothing(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	(void)q;
	(void)arg;
	fake_stall(c);
}

static void failure_of_the_source_is_the_failure(void **state)
{
	struct http_rig r = http_rig_start(take_nothing, NULL, (struct http_options){ 0 });
	struct pattern p = { .fail_at = 1 };
	struct http_exchange *x = NULL;

	(void)state;
	assert_int_equal(send_pattern(&r, &p, 64LL * HTTP_WINDOW, "PUT", NULL, &x), E_CORRUPT);
	assert_string_equal(r.err.text, "the source is broken");
	assert_int_equal(r.failed, HTTP_FAILED_LOCAL);
	http_rig_stop(&r);
}

static void server_that_takes_nothing_stalls_the_transfer_within_bounds(void **state)
{
	struct http_rig r = http_rig_start(take_nothing, NULL, (struct http_options){ .stall_timeout_ms = 300 });
	struct pattern p = { .fail_at = -1 };
	struct http_exchange *x = NULL;

	(void)state;
	assert_int_equal(send_pattern(&r, &p, 1LL << 40, "PUT", NULL, &x), E_REGISTRY);
	assert_non_null(strstr(r.err.text, "the transfer stalled"));
	assert_int_equal(r.failed, HTTP_FAILED_BROKEN);
	assert_in_range(p.most, HTTP_WINDOW, 64 * HTTP_WINDOW);
	http_rig_stop(&r);
}

static void *fire(void *cancel)
{
	cancel_fire(cancel, E_CANCELLED);
	return NULL;
}

static void cancel_ends_a_body_on_its_way(void **state)
{
	struct http_rig r = http_rig_start(take_nothing, NULL, (struct http_options){ 0 });
	struct cancel *cancel = cancel_new();
	struct pattern p = { .fail_at = -1 };
	struct http_exchange *x = NULL;
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, fire, cancel), 0);
	assert_int_equal(send_pattern(&r, &p, 1LL << 40, "PUT", cancel, &x), E_CANCELLED);
	pthread_join(thread, NULL);
	cancel_unref(cancel);
	http_rig_stop(&r);
}

static void refuse_at_once(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	(void)arg;
	fake_text(c, q, 413, "Connection: close\r\n", "too much");
	fake_stall(c);
}

static void refusal_comes_through_before_the_whole_body_is_sent(void **state)
{
	struct http_rig r = http_rig_start(refuse_at_once, NULL, (struct http_options){ 0 });
	struct pattern p = { .fail_at = -1 };
	struct http_exchange *x = NULL;

	(void)state;
	assert_ok(send_pattern(&r, &p, 1LL << 40, "PUT", NULL, &x), &r.err);
	assert_int_equal(http_response_of(x)->status, 413);
	http_close(x);
	http_rig_stop(&r);
}

static void agree_at_once(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	(void)arg;
	fake_text(c, q, 201, "", "");
	fake_stall(c);
}

static void success_before_the_body_is_sent_is_none(void **state)
{
	struct http_rig r = http_rig_start(agree_at_once, NULL, (struct http_options){ 0 });
	struct pattern p = { .fail_at = -1 };
	struct http_exchange *x = NULL;

	(void)state;
	assert_int_equal(send_pattern(&r, &p, 1LL << 40, "PUT", NULL, &x), E_REGISTRY);
	assert_int_equal(r.failed, HTTP_FAILED_BROKEN);
	http_rig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(location_is_taken_as_it_was_sent),
		cmocka_unit_test(location_that_is_none_or_leaves_tls_is_refused),
		cmocka_unit_test(range_of_a_session_is_read_strictly),
		cmocka_unit_test(body_of_each_method_arrives_without_asking_first),
		cmocka_unit_test(empty_body_has_a_length),
		cmocka_unit_test(failure_of_the_source_is_the_failure),
		cmocka_unit_test(server_that_takes_nothing_stalls_the_transfer_within_bounds),
		cmocka_unit_test(cancel_ends_a_body_on_its_way),
		cmocka_unit_test(refusal_comes_through_before_the_whole_body_is_sent),
		cmocka_unit_test(success_before_the_body_is_sent_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

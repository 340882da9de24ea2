/* Uploads and manifests to a registry that answers in odd places. */
#include <stdio.h>

#include "service/registry/repository.h"
#include "service/registry/upload.h"
#include "tests/unit/registry/rig.h"

enum { LONG = 40 * 1024 }; /* too long for the POST */

/* ---- a world ---------------------------------------------------------------- */

struct sessions {
	struct rig *rig;
	struct fake *registry;
	uint8_t *data;
	struct descriptor blob;
	struct err err;
};

static void start(struct sessions *s, fake_handler *handler)
{
	s->rig = rig_new();
	s->registry = fake_start(FAKE_PLAIN, handler, s);
	s->data = malloc(LONG);
	memset(s->data, 'x', LONG);
	s->blob = descriptor_of(s->data, LONG);
}

static void stop(struct sessions *s)
{
	rig_free(s->rig);
	fake_stop(s->registry);
	free(s->data);
}

static struct repository *open_push(struct sessions *s, const char *from)
{
	struct reference ref = ref_of(fake_authority(s->registry), "a/b");
	struct repository *r = NULL;

	assert_ok(repository_open_push(s->rig->registry, &ref, from, NULL, &r, &s->err), &s->err);
	return r;
}

static int read_data(void *arg, int64_t offset, uint8_t *data, size_t size, size_t *ret_len, struct err *err)
{
	struct sessions *s = arg;

	(void)err;
	memcpy(data, s->data + offset, size);
	*ret_len = size;
	return OK;
}

static int upload(struct sessions *s, struct repository *r, const struct upload_mount *mount)
{
	struct upload u = { .digest = &s->blob.digest,
			    .source = { .length = LONG, .read = read_data, .arg = s },
			    .mounts = mount,
			    .n_mounts = mount != NULL };
	struct upload_result result;

	return registry_upload(r, &u, NULL, &result, &s->err);
}

static bool is_upload(const struct fake_request *q)
{
	return strstr(q->path, "/blobs/uploads/") != NULL;
}

static void begin(struct fake_conn *c, const struct fake_request *q)
{
	fake_text(c, q, 202, "Location: /v2/a/b/blobs/uploads/1?_state=s\r\n", "");
}

/* ---- a session --------------------------------------------------------------- */

static void want_basic_in_the_end(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	(void)arg;
	if (!is_upload(q))
		fake_text(c, q, 200, "", "");
	else if (!strcmp(q->method, "POST"))
		begin(c, q);
	else
		fake_text(c, q, 401, "WWW-Authenticate: Basic realm=\"r\"\r\n", "");
}

static void session_that_wants_credentials_that_nobody_has_says_which(void **state)
{
	struct sessions s = { 0 };
	struct repository *r;

	(void)state;
	start(&s, want_basic_in_the_end);
	r = open_push(&s, NULL);
	assert_int_equal(upload(&s, r, NULL), E_UNAUTHENTICATED);
	assert_non_null(strstr(s.err.text, "Put \"http://127.0.0.1:"));
	assert_non_null(strstr(s.err.text, "/v2/a/b/blobs/uploads/1\": no basic auth credentials"));
	repository_unref(r);
	stop(&s);
}

static void mount_nothing(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	(void)arg;
	if (!strcmp(q->method, "POST"))
		begin(c, q);
	else
		fake_text(c, q, is_upload(q) ? 201 : 200, "", "");
}

/* The session is the mount's repository's, which has hosts of its own. */
static void session_that_a_mount_began_stays_with_its_host(void **state)
{
	struct sessions s = { 0 };
	struct upload_mount mount = { .from = "c/d" };
	struct repository *r;

	(void)state;
	start(&s, mount_nothing);
	r = open_push(&s, NULL);
	mount.repository = open_push(&s, "c/d");
	assert_ok(upload(&s, r, &mount), &s.err);
	assert_int_equal(fake_count(s.registry, "POST", "/v2/a/b/blobs/uploads/"), 1);
	assert_true(atomic_load(&r->served_by) < r->n_endpoints);
	assert_string_equal(repository_served_by(mount.repository), fake_authority(s.registry));
	repository_unref(mount.repository);
	repository_unref(r);
	stop(&s);
}

/* Keeps a part of the first body, breaks off, and is silent about it. */
static void keep_half(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	struct sessions *s = arg;
	bool puts = !strcmp(q->method, "PUT");

	if (!is_upload(q))
		return fake_text(c, q, 200, "", "");
	if (!strcmp(q->method, "POST"))
		return begin(c, q);
	if (!strcmp(q->method, "DELETE"))
		return fake_text(c, q, 204, "", "");
	if (!puts || fake_count(s->registry, "PUT", "") == 1)
		return fake_hang_up(c);
	if (fake_count(s->registry, "POST", "") == 1)
		return fake_text(c, q, 400, "", "{\"errors\":[{\"code\":\"DIGEST_INVALID\",\"message\":\"digest\"}]}");
	fake_text(c, q, 201, "", "");
}

static void session_that_broke_and_does_not_say_how_far_it_is_may_be_wrong(void **state)
{
	struct sessions s = { 0 };
	struct repository *r;

	(void)state;
	start(&s, keep_half);
	r = open_push(&s, NULL);
	assert_ok(upload(&s, r, NULL), &s.err);
	assert_int_equal(fake_count(s.registry, "DELETE", "/v2/a/b/blobs/uploads/1"), 1);
	assert_int_equal(fake_count(s.registry, "POST", "/v2/a/b/blobs/uploads/"), 2);
	repository_unref(r);
	stop(&s);
}

/* Takes pieces, and then knows nothing of them. */
static void forget_in_the_end(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	static const char headers[] = "Location: /v2/a/b/blobs/uploads/1?_state=s\r\nOCI-Chunk-Min-Length: 1\r\n";

	(void)arg;
	if (!is_upload(q))
		fake_text(c, q, 200, "", "");
	else if (!strcmp(q->method, "POST") || !strcmp(q->method, "PATCH"))
		fake_text(c, q, 202, headers, "");
	else
		fake_text(c, q, 404, "", "");
}

/* Else large pieces would earn attempts for ever. */
static void bytes_that_are_sent_again_are_no_progress(void **state)
{
	struct sessions s = { 0 };
	struct repository *r;

	(void)state;
	start(&s, forget_in_the_end);
	r = open_push(&s, NULL);
	assert_int_equal(upload(&s, r, NULL), E_NOT_FOUND);
	assert_in_range(fake_count(s.registry, "PATCH", "/v2/a/b/blobs/uploads/"), 4, 5);
	repository_unref(r);
	stop(&s);
}

/* ---- a manifest -------------------------------------------------------------- */

static const char manifest[] = "{\"schemaVersion\":2,\"subject\":{\"mediaType\":\"a/b\",\"size\":1,\"digest\":\"sha256:"
			       "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"}}";

static void keep_lists_to_yourself(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	(void)arg;
	if (!strcmp(q->method, "PUT"))
		fake_text(c, q, 201, "", "");
	else
		fake_text(c, q, strstr(q->path, "/manifests/") ? 403 : 200, "", "");
}

static void list_of_referrers_that_is_denied_fails_many_tags_too(void **state)
{
	static const char *const tags[] = { "1", "2" };
	struct descriptor d = descriptor_of(manifest, sizeof manifest - 1);
	struct manifest_upload m = { { (const uint8_t *)manifest, sizeof manifest - 1 },
				     "application/vnd.oci.image.manifest.v1+json",
				     &d.digest,
				     tags,
				     ARRAY_LEN(tags) };
	struct sessions s = { 0 };
	struct repository *r;

	(void)state;
	start(&s, keep_lists_to_yourself);
	r = open_push(&s, NULL);
	assert_int_equal(registry_put_manifest(r, &m, NULL, &s.err), E_DENIED);
	repository_unref(r);
	stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(session_that_wants_credentials_that_nobody_has_says_which),
		cmocka_unit_test(session_that_a_mount_began_stays_with_its_host),
		cmocka_unit_test(session_that_broke_and_does_not_say_how_far_it_is_may_be_wrong),
		cmocka_unit_test(bytes_that_are_sent_again_are_no_progress),
		cmocka_unit_test(list_of_referrers_that_is_denied_fails_many_tags_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What other projects have recorded of registries, through the whole client. */
#include "service/registry/error_body.h"
#include "service/registry/scope.h"
#include "tests/unit/registry/rig.h"

static void json_free(json_t **j)
{
	json_decref(*j);
}

/* The body of a recorded answer: what follows its empty line, or all of it. */
static char *body_of(char *text)
{
	char *end = strstr(text, "\n\n"), *wide = strstr(text, "\r\n\r\n");

	if (strncmp(text, "HTTP/", 5) != 0)
		return text;
	return wide ? wide + 4 : end ? end + 2 : text;
}

struct recording {
	const char *file, *type;
	bool index;
};

struct answer_of {
	const struct recording *recording;
	const char *body;
};

static void serve(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	const struct answer_of *a = arg;
	char headers[256];

	if (!strcmp(q->path, "/v2/")) {
		fake_text(c, q, 200, "", "{}");
		return;
	}
	snprintf(headers, sizeof headers, "Content-Type: %s\r\n", a->recording->type);
	fake_text(c, q, 200, headers, a->body);
}

static void check_document(const struct recording *r, const struct remote_manifest *m)
{
	struct err err = ERR_INIT;
	enum media_kind kind;

	assert_ok(document_kind(buf_bytes(&m->body), m->media_type, &kind, &err), &err);
	assert_string_equal(media_kind_name(kind), r->type);
	if (r->index) {
		CLEANUP(index_free) struct index index = { .n_entries = 0 };

		assert_ok(index_parse(buf_bytes(&m->body), &index, &err), &err);
		assert_int_not_equal(index.n_entries, 0);
	} else {
		CLEANUP(manifest_free) struct manifest manifest = { .n_layers = 0 };

		assert_ok(manifest_parse(buf_bytes(&m->body), &manifest, &err), &err);
		assert_int_not_equal(manifest.n_layers, 0);
	}
}

/* In a buffer: a test that is skipped does not come back to free anything. */
static char *read_recorded(const char *file)
{
	char name[256];

	snprintf(name, sizeof name, "cases/registry/isulad-recorded/%s", file);
	return shared_read(name);
}

static void recorded_manifests_are_read(void **state)
{
	static const struct recording recordings[] = {
		{ "oci/index", "application/vnd.oci.image.index.v1+json", true },
		{ "oci/manifest_body", "application/vnd.oci.image.manifest.v1+json", false },
		{ "v2/manifest_list", "application/vnd.docker.distribution.manifest.list.v2+json", true },
		{ "v2/manifest_body", "application/vnd.docker.distribution.manifest.v2+json", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(recordings); i++) {
		CLEANUP(freep) char *text = read_recorded(recordings[i].file);
		CLEANUP(remote_manifest_free) struct remote_manifest m = { 0 };
		CLEANUP(repository_unrefp) struct repository *r = NULL;
		struct answer_of answer = { &recordings[i], text ? body_of(text) : NULL };
		struct err err = ERR_INIT;
		struct reference ref;
		struct fake *registry;
		struct rig *rig;

		if (!text)
			skip();
		rig = rig_new();
		registry = fake_start(FAKE_PLAIN, serve, &answer);
		ref = ref_of(fake_authority(registry), "a:1");
		r = open_repository(rig, fake_authority(registry), "a", NULL);
		assert_ok(registry_manifest(r, &ref, NULL, &m, &err), &err);
		assert_memory_equal(m.body.data, answer.body, m.body.len);
		check_document(&recordings[i], &m);
		repository_unref(TAKE(r));
		rig_free(rig);
		fake_stop(registry);
	}
}

static void recorded_errors_are_told(void **state)
{
	static const struct {
		const char *file, *code, *text;
	} cases[] = {
		{ "v2/0_server_error", "UNKNOWN", "unknown: unknown error" },
		{ "oci/search_server_error", "UNKNOWN", "unknown: unknown error" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(freep) char *text = read_recorded(cases[i].file);
		struct error_body e;

		if (!text)
			skip();
		error_body_parse(bytes_of(body_of(text)), &e);
		assert_string_equal(e.code, cases[i].code);
		assert_string_equal(e.text, cases[i].text);
	}
}

/* Every message of theirs is in ours; how the parts are joined is our own. */
static void check_error(const json_t *item, const char *key)
{
	const char *body = json_string_value(json_object_get(item, key));
	CLEANUP(json_free) json_t *root = json_loads(body, 0, NULL);
	const json_t *errors = json_object_get(root, "errors"), *one;
	struct error_body e;
	size_t i;

	error_body_parse(bytes_of(body), &e);
	json_array_foreach(errors, i, one)
		assert_non_null(strstr(e.text, json_string_value(json_object_get(one, "message"))));
	if (errors)
		assert_string_equal(e.code, json_string_value(json_object_get(json_array_get(errors, 0), "code")));
	if (!root)
		assert_string_equal(e.text, body);
}

static void errors_of_another_client_are_read(void **state)
{
	CLEANUP(json_free) json_t *root = shared_json("cases/registry/search-and-errors/ggcr_error_test.json");
	json_t *item;
	size_t i;

	(void)state;
	if (!root)
		skip();
	json_array_foreach(json_object_get(root, "TestCheckErrorWithError"), i, item) check_error(item, "errorBody");
	json_array_foreach(json_object_get(root, "TestCheckErrorNotError"), i, item) check_error(item, "body");
}

/* Whether the set asks for each action of the scope. */
static bool covers(const struct scopes *s, const char *scope)
{
	struct scopes more = *s;

	return scopes_add(&more, scope) && !memcmp(&more, s, sizeof more);
}

static void add_all(struct scopes *s, const json_t *list)
{
	json_t *one;
	size_t i;

	json_array_foreach(list, i, one) assert_true(scopes_add(s, json_string_value(one)));
}

static void scopes_of_another_client_ask_for_the_same(void **state)
{
	CLEANUP(json_free) json_t *root = shared_json("cases/registry/auth-challenge/containerd_scope_test.json");
	json_t *item, *one;
	size_t i, j;

	(void)state;
	if (!root)
		skip();
	json_array_foreach(json_array_get(json_object_get(root, "TestGetTokenScopes"), 0), i, item)
	{
		struct scopes got = { 0 }, wanted = { 0 };

		add_all(&got, json_object_get(item, "scopesInCtx"));
		add_all(&got, json_object_get(item, "commonScopes"));
		json_array_foreach(json_object_get(item, "expected"), j, one)
		{
			assert_true(covers(&got, json_string_value(one)));
			assert_true(scopes_add(&wanted, json_string_value(one)));
		}
		for (size_t k = 0; k < got.n; k++)
			assert_true(covers(&wanted, got.items[k]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recorded_manifests_are_read),
		cmocka_unit_test(recorded_errors_are_told),
		cmocka_unit_test(errors_of_another_client_are_read),
		cmocka_unit_test(scopes_of_another_client_ask_for_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

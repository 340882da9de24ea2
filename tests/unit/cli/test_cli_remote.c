/* What is shown of registries: results of searches, manifests, pulls of all tags. */
#include "cli_test.h"

#include "client/cli/commands/search.h"
#include "client/cli/format/json_indent.h"
#include "client/cli/manifest_view.h"
#include "client/cli/pull_view.h"
#include "client/cli/search_filter.h"

/* ---- search ------------------------------------------------------------------ */

static Imaged__V1__SearchResult result(const char *name, const char *description, int64_t stars, bool official)
{
	Imaged__V1__SearchResult r = IMAGED__V1__SEARCH_RESULT__INIT;

	r.name = (char *)name;
	r.description = (char *)description;
	r.star_count = stars;
	r.official = official;
	return r;
}

static void expect_search(const struct search_view *view, Imaged__V1__SearchResult *const *results, size_t n,
			  const char *text)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(64 * 1024);
	struct err err = ERR_INIT;

	assert_int_equal(search_render(view, results, n, &out, &err), OK);
	assert_string_equal(buf_text(&out), text);
}

static void search_prints_as_docker_does(UNUSED void **state)
{
	Imaged__V1__SearchResult a = result("busybox", "Busybox base image.", 3243, true);
	Imaged__V1__SearchResult b = result("x/y", "two\nlines\rand a <tag> that is longer than the column may be", 0,
					    false);
	Imaged__V1__SearchResult *both[] = { &a, &b };
	struct search_view table = { 0 }, json = { .format = "json" };
	struct search_view row = { .format = "table {{.Name}}|{{.IsOfficial}}" };

	setenv("LC_ALL", "C.UTF-8", 1);
	expect_search(&table, both, 2,
		      "NAME      DESCRIPTION                                     STARS     OFFICIAL\n"
		      "busybox   Busybox base image.                             3243      [OK]\n"
		      "x/y       two lines and a <tag> that is longer than th…   0         \n");
	expect_search(&table, both, 0, "NAME      DESCRIPTION   STARS     OFFICIAL\n");
	expect_search(&json, both, 1,
		      "{\"Description\":\"Busybox base image.\",\"IsOfficial\":\"true\",\"Name\":\"busybox\","
		      "\"StarCount\":\"3243\"}\n");
	expect_search(&row, both, 2, "NAME|OFFICIAL\nbusybox|[OK]\nx/y|\n");
}

static void search_knows_the_fields_of_docker_only(UNUSED void **state)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(64 * 1024);
	Imaged__V1__SearchResult a = result("a", "", 0, false);
	Imaged__V1__SearchResult *one[] = { &a };
	struct search_view view = { .format = "{{.IsAutomated}}" };
	struct err err = ERR_INIT;

	assert_int_equal(search_render(&view, one, 1, &out, &err), E_TEMPLATE);
	assert_non_null(strstr(err.text, "can't evaluate field IsAutomated in type *registry.searchContext"));
}

static int parse(const char **filters, size_t n, Imaged__V1__SearchRequest *request, bool *automated, struct err *err)
{
	struct strings list = { filters, n };

	imaged__v1__search_request__init(request);
	return search_filter_parse(&list, request, automated, err);
}

static void search_filters_become_fields(UNUSED void **state)
{
	const char *filters[] = { "stars=3", " STARS = 20 ", "stars=-1", "is-official=1", "is-automated=false" };
	Imaged__V1__SearchRequest request;
	struct err err = ERR_INIT;
	bool automated;

	assert_int_equal(parse(filters, 4, &request, &automated, &err), OK);
	assert_int_equal(request.min_stars, 20);
	assert_int_equal(request.official, IMAGED__V1__CHOICE__CHOICE_YES);
	assert_false(automated);
	assert_int_equal(parse(filters, 5, &request, &automated, &err), OK);
	assert_true(automated);
	assert_int_equal(request.automated, IMAGED__V1__CHOICE__CHOICE_NO);
}

static void search_filters_that_are_none(UNUSED void **state)
{
	static const char *const cases[][2] = {
		{ "stars=many", "invalid filter 'stars=many': strconv.Atoi: parsing \"many\": invalid syntax" },
		{ "stars=", "invalid filter 'stars=': strconv.Atoi: parsing \"\": invalid syntax" },
		{ "stars=9223372036854775808",
		  "invalid filter 'stars=9223372036854775808': strconv.Atoi: parsing \"9223372036854775808\": value "
		  "out of range" },
		{ "is-official=maybe", "invalid filter 'is-official=[maybe]'" },
		{ "foo=bar", "invalid filter 'foo'" },
	};
	Imaged__V1__SearchRequest request;
	bool automated;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *filter = cases[i][0];
		struct err err = ERR_INIT;

		assert_int_equal(parse(&filter, 1, &request, &automated, &err), E_INVALID_FILTER);
		assert_string_equal(err.text, cases[i][1]);
	}
}

/* ---- manifests --------------------------------------------------------------- */

static void expect_indent(const char *text, const char *shown)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(64 * 1024), again = BUF_INIT(64 * 1024);

	json_indent(&out, bytes_of(text), " ");
	assert_string_equal(buf_text(&out), shown);
	json_indent(&again, buf_bytes(&out), " ");
	assert_string_equal(buf_text(&again), shown);
}

static void json_is_indented_and_nothing_else(UNUSED void **state)
{
	expect_indent(
		"{\"b\":1.50,\"a\" : [ ] ,\"c\":{ },\"d\":[1,\"x, {y}: \\\" \\\\\",null]}",
		"{\n \"b\": 1.50,\n \"a\": [],\n \"c\": {},\n \"d\": [\n  1,\n  \"x, {y}: \\\" \\\\\",\n  null\n ]\n}");
	expect_indent("[[[]]]", "[\n [\n  []\n ]\n]");
	expect_indent("true", "true");
	expect_indent("", "");
}

static void json_is_made_compact(UNUSED void **state)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(64 * 1024);

	json_compact(&out, bytes_of(" { \"a b\" :\t[ 1 , \"<x> & \\\" y\xe2\x80\xa9\" ] }\r\n"));
	assert_string_equal(buf_text(&out), "{\"a b\":[1,\"\\u003cx\\u003e \\u0026 \\\" y\\u2029\"]}");
}

#define AMD64 "{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{}}"

static ProtobufCBinaryData binary(const char *text)
{
	return (ProtobufCBinaryData){ strlen(text), (uint8_t *)(uintptr_t)text };
}

static Imaged__V1__RemoteManifest remote(Imaged__V1__Descriptor *d, const char *body, const char *config)
{
	Imaged__V1__RemoteManifest m = IMAGED__V1__REMOTE_MANIFEST__INIT;

	m.reference = (char *)"r.example/a:1@sha256:0";
	m.descriptor = d;
	m.manifest = binary(body);
	m.config = binary(config);
	return m;
}

static void expect_manifest(const Imaged__V1__InspectRemoteResponse *m, bool verbose, const char *shown)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(64 * 1024);
	struct reference ref;
	struct err err = ERR_INIT;

	assert_int_equal(reference_parse("r.example/a:1", &ref, NULL), OK);
	assert_int_equal(manifest_view_remote(&ref, m, verbose, &out, &err), OK);
	assert_string_equal(buf_text(&out), shown);
}

static void manifests_print_as_docker_prints_them(UNUSED void **state)
{
	Imaged__V1__InspectRemoteResponse m = IMAGED__V1__INSPECT_REMOTE_RESPONSE__INIT;
	Imaged__V1__Descriptor d = IMAGED__V1__DESCRIPTOR__INIT;
	Imaged__V1__RemoteManifest one, *list[] = { &one };

	d.media_type = (char *)"application/vnd.oci.image.manifest.v1+json";
	d.digest = (char *)"sha256:0";
	d.size = 7;
	one = remote(&d, "{\"a\":1}", AMD64);
	m.descriptor = &d;
	m.manifest = one.manifest;
	m.manifests = list;
	m.n_manifests = 1;
	expect_manifest(&m, false, "{\n\t\"a\": 1\n}\n");
	expect_manifest(&m, true,
			"{\n\t\"Ref\": \"r.example/a:1\",\n\t\"Descriptor\": {\n"
			"\t\t\"mediaType\": \"application/vnd.oci.image.manifest.v1+json\",\n"
			"\t\t\"digest\": \"sha256:0\",\n\t\t\"size\": 7,\n\t\t\"platform\": {\n"
			"\t\t\t\"architecture\": \"amd64\",\n\t\t\t\"os\": \"linux\"\n\t\t}\n\t},\n"
			"\t\"Raw\": \"eyJhIjoxfQ==\",\n\t\"OCIManifest\": {\n\t\t\"a\": 1\n\t}\n}\n");
	m.descriptor = NULL;
	expect_manifest(&m, false, "{\n\t\"a\": 1\n}\n");
}

/* Of an entry what docker's client keeps: no annotations, and a platform always. */
static void an_index_prints_with_three_blanks(UNUSED void **state)
{
	static const char index[] = "{\"manifests\":[{\"size\":1,\"annotations\":{\"a\":\"b\"},\"mediaType\":\"x/y\","
				    "\"digest\":\"sha256:"
				    "0000000000000000000000000000000000000000000000000000000000000000\"}]}";
	Imaged__V1__InspectRemoteResponse m = IMAGED__V1__INSPECT_REMOTE_RESPONSE__INIT;
	Imaged__V1__Descriptor d = IMAGED__V1__DESCRIPTOR__INIT;

	d.media_type = (char *)"application/vnd.docker.distribution.manifest.list.v2+json";
	m.descriptor = &d;
	m.manifest = binary(index);
	expect_manifest(&m, false,
			"{\n   \"schemaVersion\": 2,\n"
			"   \"mediaType\": \"application/vnd.docker.distribution.manifest.list.v2+json\",\n"
			"   \"manifests\": [\n      {\n         \"mediaType\": \"x/y\",\n         \"size\": 1,\n"
			"         \"digest\": \"sha256:"
			"0000000000000000000000000000000000000000000000000000000000000000\",\n"
			"         \"platform\": {\n            \"architecture\": \"\",\n            \"os\": \"\"\n"
			"         }\n      }\n   ]\n}\n");
	m.manifest = binary("{\"manifests\":[]}");
	expect_manifest(&m, true, "[]\n");
}

/* ---- pull -a ----------------------------------------------------------------- */

static struct buf written = BUF_INIT(64 * 1024);

static void collect(const void *data, size_t len)
{
	buf_append(&written, data, len);
}

static void show_tag(struct pull_view *v, const char *reference, bool resolved, bool up_to_date)
{
	Imaged__V1__PullEvent event = IMAGED__V1__PULL_EVENT__INIT;
	Imaged__V1__PullResolved start = IMAGED__V1__PULL_RESOLVED__INIT;
	Imaged__V1__PullDone done = IMAGED__V1__PULL_DONE__INIT;
	struct err err = ERR_INIT;

	start.reference = done.reference = (char *)reference;
	done.root_digest = (char *)"sha256:0";
	done.up_to_date = up_to_date;
	event.event_case = IMAGED__V1__PULL_EVENT__EVENT_RESOLVED;
	event.resolved = &start;
	if (resolved)
		assert_int_equal(pull_view_event(v, &event, &err), OK);
	event.event_case = IMAGED__V1__PULL_EVENT__EVENT_DONE;
	event.done = &done;
	assert_int_equal(pull_view_event(v, &event, &err), OK);
}

static void all_tags_have_one_status(UNUSED void **state)
{
	CLEANUP(pull_view_free)
	struct pull_view v = { .all_tags = true, .progress = { .width = 80, .write = collect } };
	struct reference ref;

	assert_int_equal(reference_parse("busybox", &ref, NULL), OK);
	v.ref = &ref;
	assert_false(v.spoken);
	show_tag(&v, "docker.io/library/busybox:1", true, false);
	show_tag(&v, "docker.io/library/busybox:2", false, true);
	pull_view_end(&v);
	assert_true(v.spoken);
	assert_string_equal(buf_text(&written),
			    "1: Pulling from library/busybox\nDigest: sha256:0\n"
			    "2: Pulling from library/busybox\nDigest: sha256:0\n"
			    "Status: Downloaded newer image for busybox\ndocker.io/library/busybox\n");
	buf_free(&written);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(search_prints_as_docker_does),
		cmocka_unit_test(search_knows_the_fields_of_docker_only),
		cmocka_unit_test(search_filters_become_fields),
		cmocka_unit_test(search_filters_that_are_none),
		cmocka_unit_test(json_is_indented_and_nothing_else),
		cmocka_unit_test(json_is_made_compact),
		cmocka_unit_test(manifests_print_as_docker_prints_them),
		cmocka_unit_test(an_index_prints_with_three_blanks),
		cmocka_unit_test(all_tags_have_one_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

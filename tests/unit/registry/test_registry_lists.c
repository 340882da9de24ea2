/* Lists of registries: links between pages, names, warnings, results of searches. */
#include "service/registry/catalog.h"
#include "service/registry/error_body.h"
#include "service/registry/link.h"
#include "service/registry/paging.h"
#include "service/registry/search_parse.h"
#include "service/registry/warning.h"
#include "tests/unit/types/unit.h"

/* ---- links ------------------------------------------------------------------- */

static void expect_link(const char *value, const char *target)
{
	struct bytes got = { 0 };

	if (!link_next(bytes_of(value), &got)) {
		if (target)
			failed("\"%s\": no link found", value);
		return;
	}
	if (!target || got.len != strlen(target) || memcmp(got.data, target, got.len) != 0)
		failed("\"%s\": got \"%.*s\"", value, (int)got.len, (const char *)got.data);
}

static void links_are_found_by_their_relation(UNUSED void **state)
{
	expect_link("</v2/a/tags/list?last=b&n=2>; rel=\"next\"", "/v2/a/tags/list?last=b&n=2");
	expect_link("<?a=b>;rel=next", "?a=b");
	expect_link("  <x> ; title = \"a, <b>; \\\" c\" ; REL = \"prev Next\"", "x");
	expect_link("<first>; rel=first, <n,e;x>; rel=next", "n,e;x");
	expect_link(", ,<x>; rel=next,", "x");
	expect_link("<x>; rel=prev; rel=next", NULL);
	expect_link("<x>; rel=nextish", NULL);
	expect_link("<x>; rel", NULL);
	expect_link("<x>", NULL);
	expect_link("<x; rel=next", NULL);
	expect_link("x; rel=next", NULL);
	expect_link("", NULL);
	expect_link("<>; rel=next", "");
	expect_link("<x>; rel=\"next", "x");
}

static void expect_query(const char *at, const char *target, const char *query)
{
	CLEANUP(url_free) struct url u = { 0 };
	CLEANUP(freep) char *got = NULL;
	struct err err = ERR_INIT;
	int r;

	assert_int_equal(url_parse(at, &u, NULL), OK);
	r = link_query(&u, bytes_of(target), &got, &err);
	if (query) {
		assert_int_equal(r, OK);
		assert_string_equal(got, query);
		return;
	}
	assert_int_equal(r, E_REGISTRY);
	assert_int_equal(err.code, E_REGISTRY);
	assert_null(got);
}

static void links_give_a_query_for_the_same_host_only(UNUSED void **state)
{
	static const char at[] = "https://r.example/v2/a/tags/list";

	expect_query(at, "/v2/a/tags/list?last=x%2Fy&n=2", "last=x%2Fy&n=2");
	expect_query(at, "?n=1#x", "n=1");
	expect_query(at, "https://R.example:443/other?n=1", "n=1");
	expect_query(at, "http://r.example/v2/?n=1", "n=1"); /* behind a TLS terminator */
	expect_query(at, "http://r.example:8080/v2/?n=1", NULL);
	expect_query(at, "https://s.example/v2/?n=1", NULL);
	expect_query(at, "//s.example/v2/?n=1", NULL);
	expect_query(at, "https://u:p@r.example/?n=1", NULL);
	expect_query(at, "ftp://r.example/?n=1", NULL);
	expect_query(at, "/v2/a/tags/list", NULL);
	expect_query(at, "/v2/a/tags/list?", NULL);
	expect_query(at, "", NULL);
	expect_query("http://r.example:5000/x", "?n=1 2", "n=1+2");
}

static void links_that_are_too_long_are_refused(UNUSED void **state)
{
	char target[LINK_QUERY_MAX + 16];

	memset(target, 'a', sizeof target);
	target[0] = '?';
	target[LINK_QUERY_MAX + 1] = 0;
	expect_query("http://r.example/x", target, target + 1);
	target[LINK_QUERY_MAX + 1] = 'a';
	target[LINK_QUERY_MAX + 2] = 0;
	expect_query("http://r.example/x", target, NULL);
}

/* ---- walks ------------------------------------------------------------------- */

static void circles_of_any_length_end(UNUSED void **state)
{
	for (unsigned tail = 0; tail < 40; tail += 13) {
		for (unsigned length = 1; length < 50; length++) {
			struct paging p = { 0 };
			struct err err = ERR_INIT;
			unsigned n = 0;
			char query[16];
			int r;

			do {
				snprintf(query, sizeof query, "p=%u", n < tail ? n : tail + (n - tail) % length);
				r = paging_follow(&p, query, &err);
				n++;
			} while (r == OK);
			assert_int_equal(r, E_REGISTRY);
			assert_true(n <= 3 * (tail + length) + 2);
		}
	}
}

static void walks_have_an_end(UNUSED void **state)
{
	struct paging p = { 0 };
	char query[16];
	int r = OK, n = 0;

	while (r == OK) {
		snprintf(query, sizeof query, "p=%d", n++);
		r = paging_follow(&p, query, NULL);
	}
	assert_int_equal(r, E_LIMIT);
	assert_int_equal(n, PAGES_MAX + 1);
}

/* ---- names ------------------------------------------------------------------- */

static void names_are_read_from_an_array(UNUSED void **state)
{
	static const char *const none[] = { "{}", "{\"tags\":null}", "{\"tags\":[]}", "{\"other\":[\"a\"]}" };
	CLEANUP(names_free) struct names names = { 0 };
	struct err err = ERR_INIT;

	assert_ok(names_parse(bytes_of("{\"name\":\"x\",\"tags\":[\"a\",\"b\",\"c\",\"\"]}"), "tags", &names, &err),
		  &err);
	assert_int_equal(names.n, 4);
	assert_string_equal(names.items[2], "c");
	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		CLEANUP(names_free) struct names empty = { 0 };

		assert_ok(names_parse(bytes_of(none[i]), "tags", &empty, &err), &err);
		assert_int_equal(empty.n, 0);
	}
}

static void names_of_another_shape_are_refused(UNUSED void **state)
{
	static const char *const bad[] = { "",
					   "[]",
					   "{",
					   "{\"tags\":5}",
					   "null",
					   "{\"tags\":[5]}",
					   "{\"tags\":[\"a\",null]}",
					   "{\"tags\":{\"a\":1}}",
					   "{\"tags\":[\"\\u0000\"]}",
					   "{\"tags\":[\"\xff\"]}",
					   "{\"tags\":[],\"tags\":[]}",
					   "{\"tags\":[]} x" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct names names = { 0 };
		struct err err = ERR_INIT;

		if (names_parse(bytes_of(bad[i]), "tags", &names, &err) != E_BAD_CONTENT)
			failed("taken: %s", bad[i]);
		assert_null(names.items);
	}
}

static void names_of_a_catalog_are_ranked(UNUSED void **state)
{
	assert_int_equal(catalog_rank("busybox", "BusyBox"), CATALOG_IS);
	assert_int_equal(catalog_rank("a/b/busybox", "busybox"), CATALOG_ENDS);
	assert_int_equal(catalog_rank("a/busybox", "a/busybox"), CATALOG_IS);
	assert_int_equal(catalog_rank("x/a/busybox", "a/busybox"), CATALOG_HOLDS);
	assert_int_equal(catalog_rank("a/busyboxes", "busybox"), CATALOG_HOLDS);
	assert_int_equal(catalog_rank("a/b", "busybox"), CATALOG_LACKS);
	assert_int_equal(catalog_rank("a/b", ""), CATALOG_HOLDS);
}

/* ---- warnings ---------------------------------------------------------------- */

static void warnings_have_a_code_an_agent_and_a_text(UNUSED void **state)
{
	static const char *const bad[] = { "",		"299",	    "299 -",	 "299 - text", "199 - \"x\"",
					   "299 \"x\"", "299 - \"", "299 - \"x", "299 - \"\"", "2990 - \"x\"" };
	char out[64];

	assert_true(warning_parse("299 - \"some \\\"text\\\"\"", out, sizeof out));
	assert_string_equal(out, "some \"text\"");
	assert_true(warning_parse("299 host:80  \"a\x1b[2J\tb\" \"Sun, 01 Jan 2026 00:00:00 GMT\"", out, sizeof out));
	assert_string_equal(out, "a [2J b");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (warning_parse(bad[i], out, sizeof out))
			failed("taken: %s", bad[i]);
}

static void warnings_are_kept_once_and_bounded(UNUSED void **state)
{
	struct http_header headers[] = { { "warning", "299 - \"one\"" },
					 { "Warning", "299 - \"two\"" },
					 { "WARNING", "299 x \"one\"" },
					 { "Other", "299 - \"three\"" } };
	struct http_response response = { .headers = headers, .n_headers = ARRAY_LEN(headers) };
	char text[WARNINGS_MAX], value[1024], small[8];
	struct warnings w;

	warnings_init(&w);
	assert_string_equal(warnings_text(&w, text, sizeof text), "");
	warnings_take(&w, &response);
	assert_string_equal(warnings_text(&w, text, sizeof text), "one; two");
	assert_string_equal(warnings_text(&w, small, sizeof small), "one");
	for (int i = 0; i < 50; i++) {
		snprintf(value, sizeof value, "299 - \"%d %0500d\"", i, 0);
		headers[0].value = value;
		warnings_take(&w, &response);
	}
	assert_in_range(w.lines.len, WARNINGS_MAX - 600, WARNINGS_MAX);
	assert_true(strlen(warnings_text(&w, text, sizeof text)) < sizeof text);
	warnings_destroy(&w);
}

/* ---- results of searches ----------------------------------------------------- */

static void results_of_an_index(UNUSED void **state)
{
	static const char json[] =
		"{\"results\":[{\"name\":\"a/b\",\"description\":\"x\\ny\",\"star_count\":3,"
		"\"is_official\":true,\"is_automated\":true,\"pull_count\":9},{\"name\":5},"
		"{\"name\":\"c\",\"description\":null,\"star_count\":\"many\",\"is_official\":\"yes\"}]} ";
	CLEANUP(search_results_free) struct search_results r = { 0 };
	struct err err = ERR_INIT;

	assert_ok(search_parse_index(bytes_of(json), 9, &r, &err), &err);
	assert_int_equal(r.n, 2);
	assert_string_equal(r.items[0].description, "x\ny");
	assert_int_equal(r.items[0].stars, 3);
	assert_int_equal(r.items[0].pulls, 9);
	assert_true(r.items[0].official && r.items[0].automated);
	assert_string_equal(r.items[1].name, "c");
	assert_string_equal(r.items[1].description, "");
	assert_int_equal(r.items[1].stars, 0);
	assert_false(r.items[1].official);
}

static void results_stop_at_the_limit(UNUSED void **state)
{
	static const char json[] = "{\"results\":[{\"name\":\"a\"},{\"name\":\"b\"},{\"name\":\"c\"}]}";
	CLEANUP(search_results_free) struct search_results r = { 0 };

	assert_int_equal(search_parse_index(bytes_of(json), 2, &r, NULL), OK);
	assert_int_equal(r.n, 2);
}

static void counts_may_be_words(UNUSED void **state)
{
	static const char json[] =
		"{\"hits\":[{\"slug\":\"a\",\"pull_count\":\"1.5K\"},{\"slug\":\"b\",\"pull_count\":\"2M+\"},"
		"{\"slug\":\"c\",\"pull_count\":\"1B+\"},{\"slug\":\"d\",\"pull_count\":-5},"
		"{\"slug\":\"e\",\"pull_count\":1e300},{\"slug\":\"f\",\"pull_count\":\"nan\"},"
		"{\"slug\":\"g\",\"pull_count\":\"inf\"},{\"slug\":\"h\",\"pull_count\":\"\"}]}";
	static const int64_t counts[] = {
		1500, 2000000, 1000000000, 0, INT64_C(9000000000000000), 0, INT64_C(9000000000000000), 0
	};
	CLEANUP(search_results_free) struct search_results r = { 0 };
	struct err err = ERR_INIT;

	assert_ok(search_parse_hub(bytes_of(json), 99, &r, &err), &err);
	assert_int_equal(r.n, ARRAY_LEN(counts));
	for (size_t i = 0; i < r.n; i++)
		assert_int_equal(r.items[i].pulls, counts[i]);
}

/* Go's words, which docker prints. */
static void what_is_no_json_is_explained(UNUSED void **state)
{
	static const char *const cases[][2] = {
		{ "not json", "invalid character 'o' in literal null (expecting 'u')" },
		{ "tree", "invalid character 'e' in literal true (expecting 'u')" },
		{ "<html>", "invalid character '<' looking for beginning of value" },
		{ " \n", "EOF" },
		{ "\x1b[2J", "invalid character '?' looking for beginning of value" },
		{ "[]", "not an object" },
		{ "{\"results\":", "not valid JSON" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct search_results r = { 0 };
		struct err err = ERR_INIT;

		assert_int_equal(search_parse_index(bytes_of(cases[i][0]), 9, &r, &err), E_BAD_CONTENT);
		assert_non_null(strstr(err.text, "error decoding registry search results: "));
		if (!strstr(err.text, cases[i][1]))
			failed("%s: %s", cases[i][0], err.text);
	}
}

/* ---- cases of other projects ------------------------------------------------- */

/* A whole HTTP answer, as it was recorded: the body is what follows the empty line. */
static void a_recorded_answer_of_docker_hub_is_read(UNUSED void **state)
{
	CLEANUP(freep) char *answer = shared_read("cases/registry/isulad-recorded/oci/search_result");
	CLEANUP(search_results_free) struct search_results r = { 0 };
	const char *body = answer ? strchr(answer, '{') : NULL;
	struct err err = ERR_INIT;

	if (!answer)
		skip();
	assert_non_null(body);
	assert_ok(search_parse_index(bytes_of(body), 25, &r, &err), &err);
	assert_int_equal(r.n, 1);
	assert_string_equal(r.items[0].name, "busybox");
	assert_int_equal(r.items[0].stars, 2781);
	assert_int_equal(r.items[0].pulls, INT64_C(7072573546));
	assert_true(r.items[0].official && !r.items[0].automated);
}

/* Each message of the body is in the text. */
static void expect_messages(const char *body)
{
	json_t *root = json_loads(body, 0, NULL);
	const json_t *errors = json_object_get(root, "errors");
	struct error_body e;

	error_body_parse(bytes_of(body), &e);
	for (size_t i = 0; i < json_array_size(errors); i++) {
		const json_t *item = json_array_get(errors, i);

		if (!i)
			assert_string_equal(e.code, json_string_value(json_object_get(item, "code")));
		assert_non_null(strstr(e.text, json_string_value(json_object_get(item, "message"))));
	}
	json_decref(root);
}

static void error_bodies_of_others_are_understood(UNUSED void **state)
{
	json_t *root = shared_json("cases/registry/search-and-errors/ggcr_error_test.json"), *item;
	const json_t *cases = json_object_get(root, "TestCheckErrorWithError");
	size_t i;

	if (!root)
		skip();
	assert_true(json_array_size(cases) > 0);
	json_array_foreach(cases, i, item) expect_messages(json_string_value(json_object_get(item, "errorBody")));
	json_decref(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(links_are_found_by_their_relation),
		cmocka_unit_test(links_give_a_query_for_the_same_host_only),
		cmocka_unit_test(links_that_are_too_long_are_refused),
		cmocka_unit_test(circles_of_any_length_end),
		cmocka_unit_test(walks_have_an_end),
		cmocka_unit_test(names_are_read_from_an_array),
		cmocka_unit_test(names_of_another_shape_are_refused),
		cmocka_unit_test(names_of_a_catalog_are_ranked),
		cmocka_unit_test(warnings_have_a_code_an_agent_and_a_text),
		cmocka_unit_test(warnings_are_kept_once_and_bounded),
		cmocka_unit_test(results_of_an_index),
		cmocka_unit_test(results_stop_at_the_limit),
		cmocka_unit_test(counts_may_be_words),
		cmocka_unit_test(what_is_no_json_is_explained),
		cmocka_unit_test(a_recorded_answer_of_docker_hub_is_read),
		cmocka_unit_test(error_bodies_of_others_are_understood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

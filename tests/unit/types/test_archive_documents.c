/* manifest.json of docker-archives; oci-layout and index.json. */
#include "tests/unit/types/unit.h"

#include "store/types/docker_archive.h"
#include "store/types/oci_layout.h"

#define HEX "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define ENTRY(more)                                                                                                   \
	"{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:" HEX "\",\"size\":3" more \
	"}"
#define INDEX(entries) "{\"schemaVersion\":2,\"manifests\":[" entries "]}"

/* ---- manifest.json -------------------------------------------------------------- */

static void refuse_archive(const char *text, const char *message)
{
	struct docker_archive a = { 0 };
	struct err err = ERR_INIT;

	assert_fails(docker_archive_parse(bytes_of(text), &a, &err), &err, E_BAD_CONTENT, message);
	assert_null(a.images);
}

static void images_are_read_with_names_as_they_stand(void **state UNUSED)
{
	CLEANUP(docker_archive_free) struct docker_archive a = { 0 };
	struct err err = ERR_INIT;

	assert_ok(docker_archive_parse(bytes_of("[{\"Config\":\"./c.json\",\"RepoTags\":[\"a:1\",\"b:2\"],"
						"\"Layers\":[\"x/layer.tar\",\"blobs/sha256/" HEX "\"],\"Parent\":null,"
						"\"LayerSources\":{\"sha256:" HEX "\":{}}},"
						"{\"Config\":\"d.json\",\"RepoTags\":null,\"Layers\":null}]\n"),
				       &a, &err),
		  &err);
	assert_int_equal(a.n_images, 2);
	assert_string_equal(a.images[0].config, "./c.json");
	assert_int_equal(a.images[0].n_repo_tags, 2);
	assert_string_equal(a.images[0].repo_tags[1], "b:2");
	assert_int_equal(a.images[0].n_layers, 2);
	assert_string_equal(a.images[0].layers[0], "x/layer.tar");
	assert_string_equal(a.images[0].layers[1], "blobs/sha256/" HEX);
	assert_int_equal(a.images[1].n_repo_tags, 0);
	assert_int_equal(a.images[1].n_layers, 0);
}

static void an_archive_without_images_is_read(void **state UNUSED)
{
	CLEANUP(docker_archive_free) struct docker_archive a = { 0 };
	struct err err = ERR_INIT;

	assert_ok(docker_archive_parse(bytes_of(" []"), &a, &err), &err);
	assert_int_equal(a.n_images, 0);
}

static void what_is_no_list_of_images_is_refused(void **state UNUSED)
{
	refuse_archive("null", "invalid manifest, manifest cannot be null (but can be [])");
	refuse_archive(" null\r\n", "invalid manifest, manifest cannot be null (but can be [])");
	refuse_archive("{}", "json: cannot unmarshal object into Go value of type []tarexport.manifestItem");
	refuse_archive("\"\"", "json: cannot unmarshal string into Go value of type []tarexport.manifestItem");
	refuse_archive("-7", "json: cannot unmarshal number into Go value of type []tarexport.manifestItem");
	refuse_archive("true", "json: cannot unmarshal bool into Go value of type []tarexport.manifestItem");
	refuse_archive("", "EOF");
	refuse_archive("x", "invalid character 'x' looking for beginning of value");
	refuse_archive("[", "manifest.json: ");
	refuse_archive("[[]]", "json: cannot unmarshal array into Go value of type tarexport.manifestItem");
	refuse_archive("[{\"Config\":7}]",
		       "json: cannot unmarshal number into Go struct field manifestItem.Config of type string");
	refuse_archive("[{\"Layers\":{}}]",
		       "json: cannot unmarshal object into Go struct field manifestItem.Layers of type []string");
	refuse_archive("[{\"Layers\":[false]}]",
		       "json: cannot unmarshal bool into Go struct field manifestItem.Layers of type string");
	refuse_archive("[{\"RepoTags\":\"a\"}]",
		       "json: cannot unmarshal string into Go struct field manifestItem.RepoTags of type []string");
	refuse_archive("[{\"RepoTags\":[1.5]}]",
		       "json: cannot unmarshal number into Go struct field manifestItem.RepoTags of type string");
}

static void what_docker_takes_for_empty_is(void **state UNUSED)
{
	static const char *const texts[] = { "[null]", "[{}]", "[{\"Config\":null,\"Layers\":null,\"RepoTags\":null}]",
					     "[{\"config\":\"c\"}]" };

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		CLEANUP(docker_archive_free) struct docker_archive a = { 0 };
		struct err err = ERR_INIT;

		assert_ok(docker_archive_parse(bytes_of(texts[i]), &a, &err), &err);
		assert_int_equal(a.n_images, 1);
		assert_string_equal(a.images[0].config, "");
		assert_int_equal(a.images[0].n_layers + a.images[0].n_repo_tags, 0);
	}
}

static void what_parsers_disagree_about_is_refused(void **state UNUSED)
{
	refuse_archive("[{\"Config\":\"c\",\"Config\":\"d\"}]", "manifest.json: a key occurs twice");
	refuse_archive("[] []", "manifest.json: data after the end");
	refuse_archive("[{\"Config\":\"c\\u0000\"}]", "manifest.json: a NUL character");
	refuse_archive("[{\"Config\":\"c\"}", "manifest.json: ");
	refuse_archive("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
		       "manifest.json: nested deeper than 32 levels");
}

static void put_many(struct buf *b, const char *first, const char *item, size_t n, const char *last)
{
	buf_puts(b, first);
	for (size_t i = 0; i < n; i++)
		buf_printf(b, "%s%s", i ? "," : "", item);
	buf_puts(b, last);
}

static void counts_and_lengths_have_limits(void **state UNUSED)
{
	static const struct {
		const char *first, *item, *last;
		size_t max;
		const char *message;
	} cases[] = {
		{ "[", "{\"Config\":\"c\"}", "]", DOCKER_ARCHIVE_IMAGES_MAX, "manifest.json: more than 10000 entries" },
		{ "[{\"Config\":\"c\",\"Layers\":[", "\"l\"", "]}]", MANIFEST_LAYERS_MAX,
		  "manifest.json: [0].Layers: more than 500 entries" },
		{ "[{\"Config\":\"c\",\"RepoTags\":[", "\"l\"", "]}]", DOCKER_ARCHIVE_TAGS_MAX,
		  "manifest.json: [0].RepoTags: more than 10000 entries" },
		{ "[{\"Config\":\"", "ccc", "\"}]", 1024, "manifest.json: [0].Config: longer than 4096 bytes" },
		{ "[{\"Config\":\"c\",\"RepoTags\":[\"", "ttt", "\"]}]", 1024,
		  "manifest.json: [0].RepoTags[0]: longer than 4096 bytes" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(docker_archive_free) struct docker_archive a = { 0 };
		struct buf b = BUF_INIT(16 * 1024 * 1024);
		struct err err = ERR_INIT;

		put_many(&b, cases[i].first, cases[i].item, cases[i].max, cases[i].last);
		assert_ok(docker_archive_parse(buf_bytes(&b), &a, &err), &err);
		buf_reset(&b);
		put_many(&b, cases[i].first, cases[i].item, cases[i].max + 1, cases[i].last);
		refuse_archive(buf_text(&b), cases[i].message);
		buf_free(&b);
	}
}

static void the_document_has_a_limit(void **state UNUSED)
{
	CLEANUP(docker_archive_free) struct docker_archive a = { 0 };
	struct buf b = BUF_INIT(16 * 1024 * 1024);
	struct err err = ERR_INIT;
	char *space = malloc(DOCKER_ARCHIVE_BYTES_MAX);

	assert_non_null(space);
	memset(space, ' ', DOCKER_ARCHIVE_BYTES_MAX);
	buf_append(&b, space, DOCKER_ARCHIVE_BYTES_MAX - 2);
	buf_puts(&b, "[]");
	assert_ok(docker_archive_parse(buf_bytes(&b), &a, &err), &err);
	buf_putc(&b, ' ');
	refuse_archive(buf_text(&b), "manifest.json: larger than 8388608 bytes");
	buf_free(&b);
	free(space);
}

/* ---- oci-layout ------------------------------------------------------------------- */

static void layouts_of_version_1_are_taken(void **state UNUSED)
{
	static const struct {
		const char *text;
		int code;
		const char *message;
	} cases[] = {
		{ "{\"imageLayoutVersion\":\"1.0.0\"}", OK, "" },
		{ "{\"imageLayoutVersion\": \"1.1.0\", \"more\": {}}\n", OK, "" },
		{ "{\"imageLayoutVersion\":\"2.0.0\"}", E_UNSUPPORTED, "oci-layout: imageLayoutVersion: a version" },
		{ "{\"imageLayoutVersion\":\"10.0\"}", E_UNSUPPORTED, "oci-layout: imageLayoutVersion: a version" },
		{ "{\"imageLayoutVersion\":\"1\"}", E_BAD_CONTENT, "oci-layout: imageLayoutVersion: not a version" },
		{ "{\"imageLayoutVersion\":\"x.1\"}", E_BAD_CONTENT, "oci-layout: imageLayoutVersion: not a version" },
		{ "{\"imageLayoutVersion\":\"\"}", E_BAD_CONTENT, "oci-layout: imageLayoutVersion: not a version" },
		{ "{\"imageLayoutVersion\":1.0}", E_BAD_CONTENT, "oci-layout: imageLayoutVersion: not a string" },
		{ "{\"imageLayoutVersion\":null}", E_BAD_CONTENT, "oci-layout: imageLayoutVersion: missing" },
		{ "{}", E_BAD_CONTENT, "oci-layout: imageLayoutVersion: missing" },
		{ "[]", E_BAD_CONTENT, "oci-layout: not a JSON object" },
		{ "1.0.0", E_BAD_CONTENT, "oci-layout: " },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;

		if (cases[i].code == OK)
			assert_ok(oci_layout_check(bytes_of(cases[i].text), &err), &err);
		else
			assert_fails(oci_layout_check(bytes_of(cases[i].text), &err), &err, cases[i].code,
				     cases[i].message);
	}
}

static void image_specs_layout_cases(void **state UNUSED)
{
	json_t *root = shared_json("cases/registry/image-spec/imagelayout_cases.json"), *cases;

	if (!root)
		skip();
	cases = json_object_get(root, "TestImageLayout");
	assert_true(json_array_size(cases) > 0);
	for (size_t i = 0; i < json_array_size(cases); i++) {
		json_t *item = json_array_get(cases, i);
		const char *text = json_string_value(json_object_get(item, "imageLayout"));
		bool fails = json_is_true(json_object_get(item, "fail"));

		assert_int_equal(oci_layout_check(bytes_of(text), NULL) != OK, fails);
	}
	json_decref(root);
}

/* ---- index.json -------------------------------------------------------------------- */

static void refuse_index(const char *text, const char *message)
{
	struct oci_index i = { 0 };
	struct err err = ERR_INIT;

	assert_fails(oci_index_parse(bytes_of(text), &i, &err), &err, E_BAD_CONTENT, message);
	assert_null(i.names);
}

static void entries_come_with_their_names(void **state UNUSED)
{
	CLEANUP(oci_index_free) struct oci_index i = { 0 };
	struct err err = ERR_INIT;

	assert_ok(oci_index_parse(bytes_of(INDEX(ENTRY(",\"annotations\":{\"io.containerd.image.name\":\"docker.io/"
						       "library/a:1\","
						       "\"org.opencontainers.image.ref.name\":\"1\",\"other\":"
						       "\"x\"}") "," ENTRY(",\"platform\":{\"os\":\"linux\","
									   "\"architecture\":\"arm64\"}"))),
				  &i, &err),
		  &err);
	assert_int_equal(i.index.n_entries, 2);
	assert_string_equal(i.names[0].image_name, "docker.io/library/a:1");
	assert_string_equal(i.names[0].ref_name, "1");
	assert_string_equal(i.names[1].image_name, "");
	assert_string_equal(i.names[1].ref_name, "");
	assert_string_equal(i.index.entries[1].platform.architecture, "arm64");
	assert_int_equal(i.index.entries[0].size, 3);
}

static void an_index_is_read_as_strictly_as_a_registrys(void **state UNUSED)
{
	char *text;

	refuse_index("[]", "index.json: index: not a JSON object");
	refuse_index("null", "index.json: index: ");
	refuse_index("{\"schemaVersion\":2,\"manifests\":[],\"layers\":[]}",
		     "index.json: index: has fields of several");
	refuse_index("{\"schemaVersion\":2,\"manifests\":[],\"manifests\":[]}",
		     "index.json: index: a key occurs twice");
	refuse_index(INDEX("{}"), "index.json: index: manifests[0].mediaType: missing");
	refuse_index(INDEX(ENTRY(",\"annotations\":{\"org.opencontainers.image.ref.name\":7}")),
		     "index.json: index: manifests[0].annotations: a value is not a string");
	refuse_index(INDEX(ENTRY(",\"annotations\":[]")), "index.json: index: manifests[0].annotations: not an object");
	text = format(INDEX(ENTRY(",\"annotations\":{\"io.containerd.image.name\":\"%05000d\"}")), 7);
	assert_non_null(text);
	refuse_index(text, "index.json: manifests[0].annotations.io.containerd.image.name: longer than 4096 bytes");
	free(text);
}

static void layouts_of_other_projects_are_read(void **state UNUSED)
{
	static const char *const folders[] = { "ggcr_test_gc_index", "ggcr_test_index", "two_identical_references" };

	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		CLEANUP(oci_index_free) struct oci_index index = { 0 };
		char path[256]; /* skip() runs no cleanup */
		CLEANUP(freep) char *layout = NULL, *text = NULL;
		struct err err = ERR_INIT;

		snprintf(path, sizeof path, "cases/registry/layout/%s/oci-layout", folders[i]);
		layout = shared_read(path);
		if (!layout)
			skip();
		snprintf(path, sizeof path, "cases/registry/layout/%s/index.json", folders[i]);
		text = shared_read(path);
		assert_non_null(text);
		assert_ok(oci_layout_check(bytes_of(layout), &err), &err);
		assert_ok(oci_index_parse(bytes_of(text), &index, &err), &err);
		assert_true(index.index.n_entries > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(images_are_read_with_names_as_they_stand),
		cmocka_unit_test(an_archive_without_images_is_read),
		cmocka_unit_test(what_is_no_list_of_images_is_refused),
		cmocka_unit_test(what_parsers_disagree_about_is_refused),
		cmocka_unit_test(what_docker_takes_for_empty_is),
		cmocka_unit_test(counts_and_lengths_have_limits),
		cmocka_unit_test(the_document_has_a_limit),
		cmocka_unit_test(layouts_of_version_1_are_taken),
		cmocka_unit_test(image_specs_layout_cases),
		cmocka_unit_test(entries_come_with_their_names),
		cmocka_unit_test(an_index_is_read_as_strictly_as_a_registrys),
		cmocka_unit_test(layouts_of_other_projects_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

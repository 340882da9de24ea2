#include "tests/unit/types/unit.h"

#include "store/types/manifest.h"

#define HEX "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define DIGEST "\"digest\":\"sha256:" HEX "\""
#define OCI "application/vnd.oci.image."
#define CONFIG "\"config\":{\"mediaType\":\"" OCI "config.v1+json\"," DIGEST ",\"size\":2}"
#define LAYER(type) "{\"mediaType\":\"" type "\"," DIGEST ",\"size\":3}"
#define GZIP LAYER(OCI "layer.v1.tar+gzip")
#define V2 "\"schemaVersion\":2,"
#define MANIFEST(layers) "{" V2 CONFIG ",\"layers\":[" layers "]}"
#define ENTRY(os, arch)                                                                               \
	"{\"mediaType\":\"" OCI "manifest.v1+json\"," DIGEST ",\"size\":3,\"platform\":{\"os\":\"" os \
	"\",\"architecture\":\"" arch "\"}}"
#define INDEX(entries) "{" V2 "\"manifests\":[" entries "]}"

static void accept_manifest(const char *text, size_t layers, bool image)
{
	CLEANUP(manifest_free) struct manifest m = { 0 };
	struct err err = ERR_INIT;

	assert_ok(manifest_parse(bytes_of(text), &m, &err), &err);
	assert_int_equal(m.n_layers, layers);
	assert_int_equal(m.is_image, image);
}

static void refuse_manifest(const char *text, int code, const char *message)
{
	struct manifest m = { 0 };
	struct err err = ERR_INIT;

	assert_fails(manifest_parse(bytes_of(text), &m, &err), &err, code, message);
	assert_null(m.layers);
}

static void refuse_index(const char *text, int code, const char *message)
{
	struct index i = { 0 };
	struct err err = ERR_INIT;

	assert_fails(index_parse(bytes_of(text), &i, &err), &err, code, message);
	assert_null(i.entries);
}

static void media_types_are_known_with_parameters_and_in_any_case(void **state UNUSED)
{
	static const struct {
		const char *text;
		enum media_kind kind;
		enum compression compression;
	} cases[] = {
		{ OCI "manifest.v1+json", MEDIA_OCI_MANIFEST, COMPRESSION_NONE },
		{ "Application/vnd.OCI.image.index.v1+json; charset=utf-8", MEDIA_OCI_INDEX, COMPRESSION_NONE },
		{ "application/vnd.docker.distribution.manifest.v2+json ;x", MEDIA_DOCKER_MANIFEST, COMPRESSION_NONE },
		{ "application/vnd.docker.distribution.manifest.v1+prettyjws", MEDIA_DOCKER_SCHEMA1, COMPRESSION_NONE },
		{ OCI "layer.v1.tar", MEDIA_LAYER, COMPRESSION_NONE },
		{ OCI "layer.v1.tar+zstd", MEDIA_LAYER, COMPRESSION_ZSTD },
		{ "application/vnd.docker.image.rootfs.diff.tar.gzip", MEDIA_LAYER, COMPRESSION_GZIP },
		{ "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", MEDIA_LAYER_FOREIGN, COMPRESSION_GZIP },
		{ OCI "layer.nondistributable.v1.tar+zstd", MEDIA_LAYER_FOREIGN, COMPRESSION_ZSTD },
		{ OCI "layer.v1.tar+gzip+encrypted", MEDIA_LAYER_ENCRYPTED, COMPRESSION_GZIP },
		{ OCI "config.v1+json+encrypted", MEDIA_UNKNOWN, COMPRESSION_NONE },
		{ OCI "layer.v1.tar+xz", MEDIA_UNKNOWN, COMPRESSION_NONE },
		{ "+encrypted", MEDIA_UNKNOWN, COMPRESSION_NONE },
		{ "", MEDIA_UNKNOWN, COMPRESSION_NONE },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct media_type t = media_type_of(cases[i].text);

		assert_int_equal(t.kind, cases[i].kind);
		assert_int_equal(t.compression, cases[i].compression);
	}
}

static void a_manifest_is_read_with_its_descriptors(void **state UNUSED)
{
	CLEANUP(manifest_free) struct manifest m = { 0 };
	struct err err = ERR_INIT;
	char text[DIGEST_TEXT_MAX];

	assert_ok(manifest_parse(bytes_of(MANIFEST(GZIP "," LAYER(OCI "layer.v1.tar+zstd"))), &m, &err), &err);
	assert_int_equal(m.kind, MEDIA_OCI_MANIFEST);
	assert_true(m.is_image);
	assert_int_equal(m.config.size, 2);
	assert_int_equal(m.config.type.kind, MEDIA_CONFIG);
	assert_int_equal(m.n_layers, 2);
	assert_string_equal(digest_text(&m.layers[0].digest, text), "sha256:" HEX);
	assert_string_equal(m.layers[1].media_type, OCI "layer.v1.tar+zstd");
	assert_int_equal(m.layers[1].type.compression, COMPRESSION_ZSTD);
}

static void unusual_but_legal_manifests_are_accepted(void **state UNUSED)
{
	accept_manifest(MANIFEST(""), 0, true);
	accept_manifest("{" V2 CONFIG ",\"layers\":null}", 0, true);
	accept_manifest(MANIFEST(GZIP "," GZIP), 2, true);
	accept_manifest(MANIFEST("{\"mediaType\":\"" OCI "layer.v1.tar\"," DIGEST ",\"size\":0}"), 1, true);
	accept_manifest("{" V2
			"\"mediaType\":\"application/vnd.docker.distribution.manifest.v2+json\",\"config\":{" DIGEST
			",\"size\":2},\"layers\":[" GZIP "]}",
			1, true);
	accept_manifest(" {" V2 CONFIG ",\"layers\":[" GZIP "],\"annotations\":{\"a\":\"b\"},\"unknown\":[1.5,{}]}\n",
			1, true);
}

static void artifacts_are_read_but_are_no_images(void **state UNUSED)
{
	accept_manifest("{" V2 "\"config\":{\"mediaType\":\"application/vnd.oci.empty.v1+json\"," DIGEST
			",\"size\":2,\"data\":\"e30=\"},\"layers\":[" LAYER("text/x-anything") "]}",
			1, false);
	accept_manifest("{" V2 "\"artifactType\":\"application/x-y\"," CONFIG ",\"layers\":[]}", 0, false);
	accept_manifest("{" V2 "\"config\":{\"mediaType\":\"application/octet-stream\"," DIGEST
			",\"size\":2},\"layers\":[]}",
			0, false);
}

static void documents_of_two_kinds_are_refused(void **state UNUSED)
{
	refuse_manifest("{" V2 CONFIG ",\"layers\":[],\"manifests\":[]}", E_BAD_CONTENT,
			"manifest: has fields of several kinds of document: `manifests` beside `layers`");
	refuse_manifest("{" V2 CONFIG ",\"layers\":[],\"manifests\":null}", E_BAD_CONTENT,
			"manifest: has fields of several");
	refuse_manifest("{" V2 CONFIG ",\"layers\":[],\"fsLayers\":[]}", E_BAD_CONTENT,
			"manifest: has fields of several");
	refuse_index("{" V2 "\"manifests\":[],\"config\":{}}", E_BAD_CONTENT, "index: has fields of several kinds");
	refuse_index("{" V2 "\"manifests\":[],\"history\":[]}", E_BAD_CONTENT, "index: has fields of several kinds");
	refuse_manifest("{" V2 "\"mediaType\":\"" OCI "index.v1+json\"," CONFIG ",\"layers\":[]}", E_BAD_CONTENT,
			"manifest: the media type says index, the fields say image manifest");
	refuse_manifest(INDEX(""), E_BAD_CONTENT, "manifest: is an index");
	refuse_index(MANIFEST(""), E_BAD_CONTENT, "index: is an image manifest");
	refuse_manifest("{" V2 "\"x\":1}", E_BAD_CONTENT, "manifest: neither an image manifest nor an index");
}

static void what_parsers_disagree_about_is_refused(void **state UNUSED)
{
	refuse_manifest("{" V2 V2 CONFIG ",\"layers\":[]}", E_BAD_CONTENT, "manifest: a key occurs twice");
	refuse_manifest(MANIFEST("") "x", E_BAD_CONTENT, "manifest: data after the end");
	refuse_manifest(MANIFEST("") MANIFEST(""), E_BAD_CONTENT, "manifest: data after the end");
	refuse_manifest("{" V2 CONFIG ",\"layers\":[],\"a\":\"\\u0000\"}", E_BAD_CONTENT, "manifest: a NUL character");
	refuse_manifest("{" V2 CONFIG ",\"layers\":[],\"\\u0000\":1}", E_BAD_CONTENT, "manifest: a NUL character");
	refuse_manifest("{" V2 CONFIG ",\"layers\":[],\"a\":\"\xff\"}", E_BAD_CONTENT,
			"manifest: text that is not UTF-8");
	refuse_manifest("{" V2 CONFIG ",\"layers\":[],\"a\":1e999}", E_BAD_CONTENT,
			"manifest: a number that is too large");
	refuse_manifest("{" V2 CONFIG ",\"layers\":[]", E_BAD_CONTENT, "manifest: ");
	refuse_manifest("", E_BAD_CONTENT, "manifest: ");
	refuse_manifest("[]", E_BAD_CONTENT, "manifest: not a JSON object");
	refuse_manifest("{'a':1}", E_BAD_CONTENT, "manifest: invalid JSON (line 1, column ");
	refuse_manifest("{\"SchemaVersion\":2," CONFIG ",\"layers\":[]}", E_BAD_CONTENT,
			"manifest: schemaVersion: missing");
}

static void a_nul_byte_does_not_end_the_document(void **state UNUSED)
{
	static const char text[] = MANIFEST("") "\0{}";
	struct err err = ERR_INIT;
	struct manifest m;

	assert_fails(manifest_parse((struct bytes){ (const uint8_t *)text, sizeof text - 1 }, &m, &err), &err,
		     E_BAD_CONTENT, "manifest: ");
}

static void errors_name_the_field(void **state UNUSED)
{
	refuse_manifest(MANIFEST(GZIP "," GZIP "," GZIP ",{\"mediaType\":\"" OCI
				      "layer.v1.tar\",\"digest\":\"sha256:12\",\"size\":1}"),
			E_BAD_CONTENT, "manifest: layers[3].digest: invalid checksum digest length");
	refuse_manifest(MANIFEST("{\"mediaType\":\"" OCI "layer.v1.tar\"," DIGEST ",\"size\":-1}"), E_BAD_CONTENT,
			"manifest: layers[0].size: number out of range");
	refuse_manifest(MANIFEST("{\"mediaType\":\"" OCI "layer.v1.tar\"," DIGEST ",\"size\":1.0}"), E_BAD_CONTENT,
			"manifest: layers[0].size: not an integer");
	refuse_manifest(MANIFEST("{\"mediaType\":\"" OCI "layer.v1.tar\"," DIGEST ",\"size\":\"7\"}"), E_BAD_CONTENT,
			"manifest: layers[0].size: not an integer");
	refuse_manifest(MANIFEST("{\"mediaType\":\"" OCI "layer.v1.tar\"," DIGEST ",\"size\":9223372036854775808}"),
			E_BAD_CONTENT, "manifest: a number that is too large");
	refuse_manifest(MANIFEST("{\"mediaType\":\"" OCI "layer.v1.tar\"," DIGEST "}"), E_BAD_CONTENT,
			"manifest: layers[0].size: missing");
	refuse_manifest(MANIFEST("{\"mediaType\":\"" OCI "layer.v1.tar\",\"size\":1}"), E_BAD_CONTENT,
			"manifest: layers[0].digest: missing");
	refuse_manifest(MANIFEST("{" DIGEST ",\"size\":1}"), E_BAD_CONTENT, "manifest: layers[0].mediaType: missing");
	refuse_manifest(MANIFEST("{\"mediaType\":\"nothing\"," DIGEST ",\"size\":1}"), E_BAD_CONTENT,
			"manifest: layers[0].mediaType: not a media type");
	refuse_manifest(MANIFEST("null"), E_BAD_CONTENT, "manifest: layers[0]: missing");
	refuse_manifest(MANIFEST("1"), E_BAD_CONTENT, "manifest: layers[0]: not an object");
	refuse_manifest("{" V2 CONFIG ",\"layers\":{}}", E_BAD_CONTENT, "manifest: layers: not an array");
	refuse_manifest("{" V2 CONFIG "}", E_BAD_CONTENT, "manifest: layers: missing");
	refuse_manifest("{" V2 "\"layers\":[]}", E_BAD_CONTENT, "manifest: config: missing");
	refuse_manifest("{" V2 CONFIG ",\"layers\":[],\"annotations\":{\"a\":1}}", E_BAD_CONTENT,
			"manifest: annotations: a value is not a string");
	refuse_manifest("{" V2 CONFIG ",\"layers\":[],\"subject\":\"nope\"}", E_BAD_CONTENT,
			"manifest: subject: not an object");
	refuse_manifest("{\"schemaVersion\":3," CONFIG ",\"layers\":[]}", E_BAD_CONTENT,
			"manifest: schemaVersion: number out of range");
	refuse_index(INDEX("{\"mediaType\":\"" OCI "manifest.v1+json\"," DIGEST
			   ",\"size\":1,\"platform\":{\"os\":\"linux\"}}"),
		     E_BAD_CONTENT, "index: manifests[0].platform.architecture: missing");
}

static void formats_that_we_do_not_have_are_named(void **state UNUSED)
{
	refuse_manifest("{\"schemaVersion\":1,\"name\":\"x\",\"fsLayers\":[],\"history\":[]}", E_UNSUPPORTED,
			"image uses the Docker schema 1 format, which ");
	refuse_manifest(MANIFEST(GZIP "," LAYER(OCI "layer.v1.tar+unknown")), E_UNSUPPORTED,
			"manifest: layers[1].mediaType: unsupported layer format \"" OCI "layer.v1.tar+unknown\"");
	refuse_manifest(MANIFEST(LAYER(OCI "layer.v1.tar+gzip+encrypted")), E_UNSUPPORTED,
			"manifest: layers[0].mediaType: the layer is encrypted");
	refuse_manifest("{" V2 "\"mediaType\":\"application/x-y\"," CONFIG ",\"layers\":[]}", E_UNSUPPORTED,
			"manifest: mediaType: unsupported kind of document \"application/x-y\"");
}

/* `count` copies of `item` with commas, in `before` and `after`. */
static char *repeat(const char *before, const char *item, size_t count, const char *after)
{
	struct buf b = BUF_INIT(64 * 1024 * 1024);

	buf_puts(&b, before);
	for (size_t i = 0; i < count; i++)
		buf_printf(&b, "%s%s", i ? "," : "", item);
	buf_puts(&b, after);
	return buf_take(&b);
}

static void counts_have_limits(void **state UNUSED)
{
	CLEANUP(freep) char *many = repeat("{" V2 CONFIG ",\"layers\":[", GZIP, 501, "]}");
	CLEANUP(freep) char *most = repeat("{" V2 CONFIG ",\"layers\":[", GZIP, 500, "]}");
	CLEANUP(freep) char *entries = repeat("{" V2 "\"manifests\":[", ENTRY("linux", "amd64"), 10001, "]}");
	CLEANUP(freep)
	char *urls = repeat("{" V2 CONFIG ",\"layers\":[{\"mediaType\":\"" OCI "layer.v1.tar\"," DIGEST
			    ",\"size\":1,\"urls\":[",
			    "\"http://x\"", 17, "]}]}");
	CLEANUP(freep) char *deep = repeat("{" V2 CONFIG ",\"layers\":[],\"x\":", "[", 1, "");
	CLEANUP(freep) char *large = repeat("{" V2 CONFIG ",\"layers\":[],\"x\":\"", "aaaaaaa", 600000, "\"}");

	refuse_manifest(many, E_BAD_CONTENT, "manifest: layers: more than 500 entries");
	accept_manifest(most, 500, true);
	refuse_index(entries, E_BAD_CONTENT, "index: manifests: more than 10000 entries");
	refuse_manifest(urls, E_BAD_CONTENT, "manifest: layers[0].urls: more than 16 entries");
	refuse_manifest(large, E_BAD_CONTENT, "manifest: larger than 4194304 bytes");
	refuse_manifest(deep, E_BAD_CONTENT, "manifest: ");
}

static void the_largest_index_is_accepted(void **state UNUSED)
{
	CLEANUP(freep) char *text = repeat("{" V2 "\"manifests\":[", ENTRY("linux", "amd64"), 10000, "]}");
	CLEANUP(index_free) struct index i = { 0 };
	struct err err = ERR_INIT;

	assert_ok(index_parse(bytes_of(text), &i, &err), &err);
	assert_int_equal(i.n_entries, 10000);
}

static char *nested(size_t depth)
{
	struct buf b = BUF_INIT(8 * 1024 * 1024);

	buf_puts(&b, "{" V2 CONFIG ",\"layers\":[],\"x\":");
	for (size_t i = 0; i < depth; i++)
		buf_putc(&b, '[');
	for (size_t i = 0; i < depth; i++)
		buf_putc(&b, ']');
	buf_putc(&b, '}');
	return buf_take(&b);
}

static void nesting_has_a_limit(void **state UNUSED)
{
	CLEANUP(freep) char *most = nested(31), *over = nested(32), *absurd = nested(1000000);

	accept_manifest(most, 0, true);
	refuse_manifest(over, E_BAD_CONTENT, "manifest: nested deeper than 32 levels");
	refuse_manifest(absurd, E_BAD_CONTENT, "manifest: nested deeper than 32 levels");
}

/* A few bytes of JSON can cost a hundred bytes of memory each. */
static void a_document_of_tiny_values_is_refused(void **state UNUSED)
{
	CLEANUP(freep) char *objects = repeat("{" V2 CONFIG ",\"layers\":[],\"x\":[", "{}", 70000, "]}");
	CLEANUP(freep) char *numbers = repeat("{" V2 CONFIG ",\"layers\":[],\"x\":[", "1", 300000, "]}");

	refuse_manifest(objects, E_BAD_CONTENT, "manifest: too many values");
	refuse_manifest(numbers, E_BAD_CONTENT, "manifest: too many values");
}

static void brackets_in_strings_are_no_nesting(void **state UNUSED)
{
	accept_manifest("{" V2 CONFIG
			",\"layers\":[],\"x\":\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\\\"}",
			0, true);
}

static void sizes_that_add_up_past_any_disk_are_refused(void **state UNUSED)
{
	refuse_manifest(MANIFEST("{\"mediaType\":\"" OCI "layer.v1.tar\"," DIGEST ",\"size\":9223372036854775807}"),
			E_BAD_CONTENT, "manifest: the sizes add up");
}

static void hostile_text_is_not_repeated_in_messages(void **state UNUSED)
{
	refuse_manifest(MANIFEST("{\"mediaType\":\"a/b;\\u001b[31m\"," DIGEST ",\"size\":1}"), E_BAD_CONTENT,
			"manifest: layers[0].mediaType: not a media type");
	refuse_manifest("{\"\x1b[31m\":1", E_BAD_CONTENT, "manifest: invalid JSON (line");
}

/* ---- which kind ------------------------------------------------------------ */

static void expect_kind(const char *text, const char *content_type, enum media_kind kind)
{
	struct err err = ERR_INIT;
	enum media_kind got;

	assert_ok(document_kind(bytes_of(text), content_type, &got, &err), &err);
	assert_int_equal(got, kind);
}

static void refuse_kind(const char *text, const char *content_type, int code, const char *message)
{
	struct err err = ERR_INIT;
	enum media_kind got;

	assert_fails(document_kind(bytes_of(text), content_type, &got, &err), &err, code, message);
}

static void the_kind_follows_from_media_type_header_and_fields(void **state UNUSED)
{
	static const char docker[] = "{" V2
				     "\"mediaType\":\"application/vnd.docker.distribution.manifest.v2+json\"," CONFIG
				     ",\"layers\":[]}";
	static const char docker_type[] = "application/vnd.docker.distribution.manifest.v2+json";

	expect_kind(MANIFEST(""), NULL, MEDIA_OCI_MANIFEST);
	expect_kind(MANIFEST(""), "", MEDIA_OCI_MANIFEST);
	expect_kind(MANIFEST(""), docker_type, MEDIA_DOCKER_MANIFEST);
	expect_kind(MANIFEST(""), "text/plain; charset=utf-8", MEDIA_OCI_MANIFEST);
	expect_kind(INDEX(""), "application/json", MEDIA_OCI_INDEX);
	expect_kind(docker, NULL, MEDIA_DOCKER_MANIFEST);
	expect_kind(docker, docker_type, MEDIA_DOCKER_MANIFEST);
	expect_kind(docker, "application/octet-stream", MEDIA_DOCKER_MANIFEST);
	refuse_kind(docker, OCI "manifest.v1+json", E_BAD_CONTENT,
		    "manifest: mediaType: differs from the Content-Type or the descriptor");
	refuse_kind(MANIFEST(""), OCI "index.v1+json", E_BAD_CONTENT,
		    "manifest: the media type says index, the fields say image manifest");
	refuse_kind(INDEX(""), OCI "manifest.v1+json", E_BAD_CONTENT, "manifest: the media type says image manifest");
	refuse_kind(MANIFEST(""), OCI "layer.v1.tar", E_UNSUPPORTED, "manifest: unsupported kind of document");
	refuse_kind("{\"schemaVersion\":1}", "application/vnd.docker.distribution.manifest.v1+prettyjws", E_UNSUPPORTED,
		    "image uses the Docker schema 1 format");
	refuse_kind("<html>", "text/html", E_BAD_CONTENT, "manifest: invalid JSON");
}

/* ---- indexes --------------------------------------------------------------- */

#define ATTESTATION                                                                                 \
	"{\"mediaType\":\"" OCI "manifest.v1+json\"," DIGEST ",\"size\":9,\"annotations\":{"        \
	"\"vnd.docker.reference.type\":\"attestation-manifest\"},\"platform\":{\"os\":\"unknown\"," \
	"\"architecture\":\"unknown\"}}"
#define BARE(size) "{\"mediaType\":\"" OCI "manifest.v1+json\"," DIGEST ",\"size\":" size "}"

static void choose(const char *text, const char *wanted, int64_t size, const char *message)
{
	CLEANUP(index_free) struct index i = { 0 };
	const struct descriptor *entry = NULL;
	struct err err = ERR_INIT;
	struct platform p;

	assert_ok(platform_parse(wanted, &p, &err), &err);
	assert_ok(index_parse(bytes_of(text), &i, &err), &err);
	if (message) {
		assert_fails(index_choose(&i, &p, &entry, &err), &err, E_NO_PLATFORM, message);
		assert_string_equal(err.text, message);
		return;
	}
	assert_ok(index_choose(&i, &p, &entry, &err), &err);
	assert_int_equal(entry->size, size);
}

#define SIZED(arch, variant, size)                                             \
	"{\"mediaType\":\"" OCI "manifest.v1+json\"," DIGEST ",\"size\":" size \
	",\"platform\":{\"os\":\"linux\",\"architecture\":\"" arch "\",\"variant\":\"" variant "\"}}"

static void the_entry_of_the_platform_is_chosen(void **state UNUSED)
{
	static const char multi[] = INDEX(
		SIZED("amd64", "", "1") "," SIZED("amd64", "v2", "2") "," SIZED("arm64", "v8", "3") "," SIZED(
			"arm", "v7", "4") "," SIZED("386", "", "5") "," SIZED("amd64", "v1", "6"));

	choose(multi, "linux/amd64", 1, NULL);
	choose(multi, "linux/amd64/v3", 2, NULL);
	choose(multi, "linux/arm64", 3, NULL);
	choose(multi, "linux/arm64/v9", 3, NULL);
	choose(multi, "linux/arm/v7", 4, NULL);
	choose(multi, "linux/386", 5, NULL);
	choose(INDEX(SIZED("386", "", "5")), "linux/amd64", 5, NULL);
}

static void a_missing_platform_is_told_with_what_is_offered(void **state UNUSED)
{
	choose(INDEX(SIZED("amd64", "", "1") "," ATTESTATION "," SIZED("arm64", "", "2")), "linux/s390x", 0,
	       "no matching manifest for linux/s390x in the manifest list entries (offered: linux/amd64, linux/arm64)");
	choose(INDEX(""), "linux/s390x", 0, "no matching manifest for linux/s390x in the manifest list entries");
	choose(INDEX(SIZED("\\u001b[31m", "", "1")), "linux/s390x", 0,
	       "no matching manifest for linux/s390x in the manifest list entries (offered: linux/?[31m)");
}

/* docker says linux/amd64 whatever the CPU can do. */
static void the_own_machine_is_named_without_its_cpu_level(void **state UNUSED)
{
	CLEANUP(index_free) struct index i = { 0 };
	struct platform host = platform_host();
	const struct descriptor *entry;
	struct err err = ERR_INIT;

	assert_ok(index_parse(bytes_of(INDEX(SIZED("zx", "", "1"))), &i, &err), &err);
	if (strcmp(host.architecture, "amd64"))
		skip();
	assert_fails(index_choose(&i, &host, &entry, &err), &err, E_NO_PLATFORM,
		     "no matching manifest for linux/amd64 in the manifest list entries (offered: linux/zx)");
}

static void a_long_list_of_platforms_is_cut(void **state UNUSED)
{
	CLEANUP(freep) char *text = repeat("{" V2 "\"manifests\":[", ENTRY("linux", "amd64"), 1000, "]}");
	CLEANUP(index_free) struct index i = { 0 };
	struct platform p = { .os = "linux", .architecture = "s390x" };
	const struct descriptor *entry;
	struct err err = ERR_INIT;

	assert_ok(index_parse(bytes_of(text), &i, &err), &err);
	assert_fails(index_choose(&i, &p, &entry, &err), &err, E_NO_PLATFORM, "no matching manifest for linux/s390x");
	assert_non_null(strstr(err.text, ", …)"));
}

static void attestations_and_unknown_platforms_are_passed_over(void **state UNUSED)
{
	CLEANUP(index_free) struct index i = { 0 };

	assert_int_equal(index_parse(bytes_of(INDEX(ATTESTATION)), &i, NULL), OK);
	assert_true(i.entries[0].attestation);
	choose(INDEX(ATTESTATION), "linux/amd64", 0,
	       "no matching manifest for linux/amd64 in the manifest list entries");
	choose(INDEX(ATTESTATION "," BARE("7")), "linux/amd64", 7, NULL);
	choose(INDEX(BARE("7") "," BARE("8")), "linux/amd64", 0,
	       "no matching manifest for linux/amd64 in the manifest list entries");
	choose(INDEX(ENTRY("", "")), "linux/amd64", 3, NULL);
	choose(INDEX("{\"mediaType\":\"application/x-y\"," DIGEST ",\"size\":1}"), "linux/amd64", 0,
	       "no matching manifest for linux/amd64 in the manifest list entries");
}

/* ---- tables of other projects ---------------------------------------------- */

static int parse_any(const char *text, struct err *err)
{
	CLEANUP(manifest_free) struct manifest m = { 0 };
	CLEANUP(index_free) struct index i = { 0 };
	enum media_kind kind;
	int r = document_kind(bytes_of(text), NULL, &kind, err);

	if (r < 0)
		return r;
	return media_is_index(kind) ? index_parse(bytes_of(text), &i, err) : manifest_parse(bytes_of(text), &m, err);
}

static void check_table(const char *file, const char *table, const char *key)
{
	json_t *root = shared_json(file), *item;
	size_t i;

	if (!root)
		skip();
	json_array_foreach(json_object_get(root, table), i, item)
	{
		const char *text = json_string_value(json_object_get(item, key));
		struct err err = ERR_INIT;

		if ((parse_any(text, &err) < 0) != json_is_true(json_object_get(item, "fail")))
			failed("%s[%zu]: %s\n%s", table, i, err.text, text);
	}
	assert_true(i > 0);
	json_decref(root);
}

static void cases_of_the_image_specification_hold(void **state UNUSED)
{
	check_table("cases/registry/image-spec/imageindex_cases.json", "TestImageIndex", "imageIndex");
	check_table("cases/registry/image-spec/backwards_compatibility_cases.json",
		    "TestBackwardsCompatibilityImageIndex", "imageIndex");
	check_table("cases/registry/image-spec/backwards_compatibility_cases.json",
		    "TestBackwardsCompatibilityManifest", "manifest");
}

static void real_manifests_are_accepted_or_refused_for_their_reason(void **state UNUSED)
{
	static const struct {
		const char *file;
		int code;
	} cases[] = {
		{ "containers-image/ociv1.encrypted.manifest.json", E_UNSUPPORTED },
		{ "containers-image/ociv1.everything.json", OK },
		{ "containers-image/ociv1.invalid.mediatype.manifest.json", E_UNSUPPORTED },
		{ "containers-image/ociv1.nondistributable.gzip.manifest.json", OK },
		{ "containers-image/ociv1.nondistributable.manifest.json", OK },
		{ "containers-image/ociv1.nondistributable.zstd.manifest.json", OK },
		{ "containers-image/ociv1.uncompressed.manifest.json", OK },
		{ "containers-image/ociv1.zstd.manifest.json", OK },
		{ "containers-image/v2s1.everything.json", E_UNSUPPORTED },
		{ "containers-image/v2s2.everything.json", OK },
		{ "containers-image/v2s2.nondistributable.gzip.manifest.json", OK },
		{ "containers-image/v2s2.nondistributable.manifest.json", OK },
		{ "containers-image/v2s2.uncompressed.manifest.json", OK },
		{ "conversion/oci1-all-media-types.json", OK },
		{ "conversion/oci1-artifact.json", OK },
		{ "conversion/oci1-extra-config-fields.json", OK },
		{ "conversion/oci1-invalid-media-type.json", E_UNSUPPORTED },
		{ "conversion/oci1-to-schema1.json", E_UNSUPPORTED },
		{ "conversion/oci1-to-schema2.json", OK },
		{ "conversion/oci1.encrypted.json", E_UNSUPPORTED },
		{ "conversion/oci1.json", OK },
		{ "conversion/schema1.json", E_UNSUPPORTED },
		{ "conversion/schema2-all-media-types.json", OK },
		{ "conversion/schema2-to-oci1.json", OK },
		{ "conversion/schema2.json", OK },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char name[256]; /* skip() runs no cleanup */
		CLEANUP(freep) char *text = NULL;
		struct err err = ERR_INIT;

		snprintf(name, sizeof name, "cases/registry/manifests/%s", cases[i].file);
		text = shared_read(name);
		if (!text)
			skip();
		if (parse_any(text, &err) != cases[i].code)
			failed("%s: %s", cases[i].file, err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(media_types_are_known_with_parameters_and_in_any_case),
		cmocka_unit_test(a_manifest_is_read_with_its_descriptors),
		cmocka_unit_test(unusual_but_legal_manifests_are_accepted),
		cmocka_unit_test(artifacts_are_read_but_are_no_images),
		cmocka_unit_test(documents_of_two_kinds_are_refused),
		cmocka_unit_test(what_parsers_disagree_about_is_refused),
		cmocka_unit_test(a_nul_byte_does_not_end_the_document),
		cmocka_unit_test(errors_name_the_field),
		cmocka_unit_test(formats_that_we_do_not_have_are_named),
		cmocka_unit_test(counts_have_limits),
		cmocka_unit_test(the_largest_index_is_accepted),
		cmocka_unit_test(nesting_has_a_limit),
		cmocka_unit_test(a_document_of_tiny_values_is_refused),
		cmocka_unit_test(brackets_in_strings_are_no_nesting),
		cmocka_unit_test(sizes_that_add_up_past_any_disk_are_refused),
		cmocka_unit_test(hostile_text_is_not_repeated_in_messages),
		cmocka_unit_test(the_kind_follows_from_media_type_header_and_fields),
		cmocka_unit_test(the_entry_of_the_platform_is_chosen),
		cmocka_unit_test(a_missing_platform_is_told_with_what_is_offered),
		cmocka_unit_test(the_own_machine_is_named_without_its_cpu_level),
		cmocka_unit_test(a_long_list_of_platforms_is_cut),
		cmocka_unit_test(attestations_and_unknown_platforms_are_passed_over),
		cmocka_unit_test(cases_of_the_image_specification_hold),
		cmocka_unit_test(real_manifests_are_accepted_or_refused_for_their_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

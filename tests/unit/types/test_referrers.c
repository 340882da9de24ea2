/* Lists of referrers: read, filtered, put together, and written for the tag. */
#include "tests/unit/types/unit.h"

#include "store/types/referrers.h"

#define HEX "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
#define DIGEST "\"digest\":\"sha256:" HEX "\",\"size\":2"
#define MANIFEST_TYPE "\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
#define LIST(entries) "{\"schemaVersion\":2,\"manifests\":[" entries "]}"
#define SBOM "{" MANIFEST_TYPE DIGEST ",\"artifactType\":\"a/sbom\",\"annotations\":{\"k\":\"v\",\"l\":\"\"}}"
#define PLAIN "{" MANIFEST_TYPE DIGEST "}"

static void add_ok(struct referrers *list, const char *json, const char *type)
{
	struct err err = ERR_INIT;

	assert_ok(referrers_add(list, bytes_of(json), type, &err), &err);
}

static void entries_are_read_with_type_and_annotations(void **state UNUSED)
{
	struct referrers list = { .n = 0 };

	add_ok(&list, LIST(SBOM "," PLAIN), NULL);
	assert_int_equal(list.n, 2);
	assert_string_equal(list.items[0].artifact_type, "a/sbom");
	assert_int_equal(list.items[0].n_annotations, 2);
	assert_string_equal(list.items[0].annotations[0].key, "k");
	assert_string_equal(list.items[0].annotations[0].value, "v");
	assert_int_equal(list.items[0].descriptor.size, 2);
	assert_string_equal(list.items[1].artifact_type, "");
	assert_int_equal(list.items[1].n_annotations, 0);
	referrers_free(&list);
	assert_int_equal(list.n, 0);
}

static void pages_are_put_together_and_filtered(void **state UNUSED)
{
	struct referrers list = { .n = 0 };

	add_ok(&list, LIST(SBOM "," PLAIN), "a/sbom");
	add_ok(&list, LIST(PLAIN), "a/sbom");
	add_ok(&list, LIST(""), "a/sbom");
	add_ok(&list,
	       "{\"schemaVersion\":2,\"manifests\":null,\"mediaType\":\"application/vnd.oci.image.index.v1+json\"}",
	       NULL);
	assert_int_equal(list.n, 1);
	add_ok(&list, LIST(SBOM), "a/sbom");
	assert_int_equal(list.n, 2);
	referrers_free(&list);
}

static void refuse(const char *json, const char *start)
{
	struct referrers list = { .n = 0 };
	struct err err = ERR_INIT;

	add_ok(&list, LIST(PLAIN), NULL);
	assert_fails(referrers_add(&list, bytes_of(json), NULL, &err), &err, E_BAD_CONTENT, start);
	assert_int_equal(list.n, 1); /* as it was */
	referrers_free(&list);
}

static void what_is_no_list_is_refused(void **state UNUSED)
{
	refuse("[]", "referrers: not a JSON object");
	refuse("{\"schemaVersion\":2}", "referrers: neither an image manifest nor an index");
	refuse("{\"schemaVersion\":2,\"config\":{},\"layers\":[]}", "referrers: is an image manifest");
	refuse(LIST("{" DIGEST "}"), "referrers: manifests[0].mediaType: missing");
	refuse(LIST("{" MANIFEST_TYPE DIGEST ",\"artifactType\":7}"), "referrers: manifests[0].artifactType: ");
	refuse(LIST("{" MANIFEST_TYPE DIGEST ",\"artifactType\":\"none\"}"),
	       "referrers: manifests[0].artifactType: not a media type");
	refuse(LIST("{" MANIFEST_TYPE DIGEST ",\"annotations\":{\"k\":1}}"), "referrers: manifests[0].annotations: ");
	refuse(LIST("null"), "referrers: manifests[0]: missing");
}

static void tags_are_cut_as_the_specification_says(void **state UNUSED)
{
	char tag[REFERENCE_TAG_MAX + 1], text[DIGEST_TEXT_MAX], wanted[128];
	struct digest d;

	assert_int_equal(digest_parse("sha256:" HEX, &d, NULL), OK);
	assert_string_equal(referrers_tag(&d, tag), "sha256-" HEX);
	snprintf(text, sizeof text, "sha512:%s%s", HEX, HEX);
	assert_int_equal(digest_parse(text, &d, NULL), OK);
	snprintf(wanted, sizeof wanted, "sha512-%s", HEX);
	assert_string_equal(referrers_tag(&d, tag), wanted);
}

/* ---- writing --------------------------------------------------------------- */

static const char signature[] = "{\"schemaVersion\":2," MANIFEST_TYPE "\"artifactType\":\"a/signature\",\"config\":{},"
				"\"layers\":[],\"annotations\":{\"who\":\"me\"}}";

static struct buf written(const char *index, const char *manifest, bool expect_listed)
{
	struct buf out = BUF_INIT(MANIFEST_BYTES_MAX);
	struct err err = ERR_INIT;
	bool listed = !expect_listed;
	struct digest d;

	digest_of(DIGEST_SHA256, bytes_of(manifest), &d);
	assert_ok(referrers_index_add(bytes_of(index), bytes_of(manifest), &d, &out, &listed, &err), &err);
	assert_int_equal(listed, expect_listed);
	return out;
}

static void a_first_entry_makes_the_index(void **state UNUSED)
{
	struct buf out = written("", signature, false);
	struct referrers list = { .n = 0 };

	add_ok(&list, buf_text(&out), NULL);
	assert_int_equal(list.n, 1);
	assert_string_equal(list.items[0].artifact_type, "a/signature");
	assert_int_equal(list.items[0].descriptor.size, strlen(signature));
	assert_int_equal(list.items[0].descriptor.type.kind, MEDIA_OCI_MANIFEST);
	assert_string_equal(list.items[0].annotations[0].value, "me");
	assert_non_null(strstr(buf_text(&out), "\"mediaType\":\"application/vnd.oci.image.index.v1+json\""));
	referrers_free(&list);
	buf_free(&out);
}

static void others_stay_and_nobody_comes_twice(void **state UNUSED)
{
	static const char before[] = "{\"schemaVersion\":2,\"manifests\":[" SBOM "],\"unknown\":{\"x\":[1.5]}}";
	struct buf out = written(before, signature, false), again;
	struct referrers list = { .n = 0 };

	add_ok(&list, buf_text(&out), NULL);
	assert_int_equal(list.n, 2);
	assert_non_null(strstr(buf_text(&out), "\"unknown\":{\"x\":[1.5]}"));
	again = written(buf_text(&out), signature, true);
	assert_int_equal(again.len, 0);
	referrers_free(&list);
	buf_free(&again);
	buf_free(&out);
}

static void type_of_the_configuration_stands_in(void **state UNUSED)
{
	struct buf out = written(LIST(""),
				 "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"a/config\"},\"layers\":[]}", false);

	assert_non_null(strstr(buf_text(&out), "\"artifactType\":\"a/config\""));
	buf_free(&out);
}

static void what_is_under_the_tag_must_be_an_index(void **state UNUSED)
{
	struct buf out = BUF_INIT(MANIFEST_BYTES_MAX);
	struct err err = ERR_INIT;
	struct digest d;
	bool listed;

	digest_of(DIGEST_SHA256, bytes_of(signature), &d);
	assert_fails(referrers_index_add(bytes_of(signature), bytes_of(signature), &d, &out, &listed, &err), &err,
		     E_BAD_CONTENT, "referrers: is an image manifest");
	assert_fails(referrers_index_add(bytes_of("{"), bytes_of(signature), &d, &out, &listed, &err), &err,
		     E_BAD_CONTENT, "referrers: ");
	buf_free(&out);
}

/* ---- what descriptors carry -------------------------------------------------- */

static void embedded_data_is_decoded_and_compared_when_asked(void **state UNUSED)
{
	static const char json[] =
		"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/vnd.oci.empty.v1+json\",\"digest\":"
		"\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\",\"size\":2,\"data\":\"e30="
		"\"},"
		"\"layers\":[{\"mediaType\":\"a/b\"," DIGEST ",\"data\":\"e30=\"},{\"mediaType\":\"a/b\"," DIGEST
		",\"data\":\"\",\"urls\":[\"https://a/b\",\"x\"]}]}";
	struct manifest m = { 0 };
	struct err err = ERR_INIT;

	assert_ok(manifest_parse(bytes_of(json), &m, &err), &err);
	assert_int_equal(m.config.data.len, 2);
	assert_memory_equal(m.config.data.data, "{}", 2);
	assert_ok(descriptor_check_data(&m.config, &err), &err);
	assert_fails(descriptor_check_data(&m.layers[0], &err), &err, E_BAD_CONTENT,
		     "the 2 bytes that the manifest embeds for sha256:");
	assert_null(m.layers[1].data.data);
	assert_ok(descriptor_check_data(&m.layers[1], &err), &err);
	assert_int_equal(m.layers[1].n_urls, 2);
	assert_string_equal(m.layers[1].urls[0], "https://a/b");
	manifest_free(&m);
}

static void expect_subject(const char *json, const char *expected)
{
	struct digest subject = { .algorithm = DIGEST_NONE };
	struct err err = ERR_INIT;
	char text[DIGEST_TEXT_MAX];

	assert_ok(document_subject(bytes_of(json), &subject, &err), &err);
	if (expected)
		assert_string_equal(digest_text(&subject, text), expected);
	else
		assert_false(digest_is_set(&subject));
}

static void subject_of_a_document_is_told(void **state UNUSED)
{
	struct digest subject;
	struct err err = ERR_INIT;

	expect_subject("{\"schemaVersion\":2,\"config\":{},\"layers\":[],\"subject\":" PLAIN "}", "sha256:" HEX);
	expect_subject("{\"schemaVersion\":2,\"manifests\":[],\"subject\":" PLAIN "}", "sha256:" HEX);
	expect_subject("{\"schemaVersion\":2,\"manifests\":[],\"subject\":null}", NULL);
	expect_subject(LIST(PLAIN), NULL);
	assert_fails(document_subject(bytes_of("{\"subject\":7}"), &subject, &err), &err, E_BAD_CONTENT,
		     "manifest: subject");
	assert_fails(document_subject(bytes_of("[]"), &subject, &err), &err, E_BAD_CONTENT, "manifest: ");
}

static void any_layer_will_do_for_those_who_carry(void **state UNUSED)
{
	static const char json[] =
		"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\"," DIGEST
		"},\"layers\":[{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+encrypted\"," DIGEST
		"},{\"mediaType\":\"x/y\"," DIGEST "}]}";
	struct manifest m = { 0 };
	struct err err = ERR_INIT;

	assert_fails(manifest_parse(bytes_of(json), &m, &err), &err, E_UNSUPPORTED, "manifest: layers[0].mediaType");
	assert_ok(manifest_parse_any(bytes_of(json), &m, &err), &err);
	assert_int_equal(m.n_layers, 2);
	manifest_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_are_read_with_type_and_annotations),
		cmocka_unit_test(pages_are_put_together_and_filtered),
		cmocka_unit_test(what_is_no_list_is_refused),
		cmocka_unit_test(tags_are_cut_as_the_specification_says),
		cmocka_unit_test(a_first_entry_makes_the_index),
		cmocka_unit_test(others_stay_and_nobody_comes_twice),
		cmocka_unit_test(type_of_the_configuration_stands_in),
		cmocka_unit_test(what_is_under_the_tag_must_be_an_index),
		cmocka_unit_test(embedded_data_is_decoded_and_compared_when_asked),
		cmocka_unit_test(subject_of_a_document_is_told),
		cmocka_unit_test(any_layer_will_do_for_those_who_carry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

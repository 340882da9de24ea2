/*
 * Each allocation of a parse fails once, ours and those of jansson: the parse then
 * fails as a whole, says so, and frees what it has (which the sanitizer build
 * watches). jansson alone would go on with a shorter string.
 */
#include "tests/unit/types/unit.h"

#include "store/types/docker_archive.h"
#include "store/types/image_config.h"
#include "store/types/oci_layout.h"
#include "store/types/referrers.h"

#define DIGEST "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
#define ENTRY(type) "{\"mediaType\":\"" type "\",\"digest\":\"" DIGEST "\",\"size\":2}"

/* Allocations until one fails; negative: none does. */
static long countdown = -1;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
char *__wrap_strdup(const char *text);

static bool fails_now(void)
{
	return countdown >= 0 && countdown-- == 0;
}

void *__wrap_malloc(size_t size)
{
	return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails_now() ? NULL : __real_calloc(n, size);
}

char *__wrap_strdup(const char *text)
{
	return fails_now() ? NULL : __real_strdup(text);
}

static int parse_manifest(struct err *err)
{
	static const char text[] = "{\"schemaVersion\":2,\"config\":" ENTRY(
		"application/vnd.oci.image.config.v1+json") ",\"layers\":[" ENTRY("application/"
										  "vnd.oci.image.layer."
										  "v1.tar") "],"
											    "\"subject"
											    "\":" ENTRY("a/b") "}";
	CLEANUP(manifest_free) struct manifest m = { 0 };

	return manifest_parse(bytes_of(text), &m, err);
}

static int parse_index(struct err *err)
{
	static const char text[] = "{\"schemaVersion\":2,\"manifests\":[" ENTRY("a/b") "," ENTRY("c/d") "]}";
	CLEANUP(index_free) struct index i = { 0 };

	return index_parse(bytes_of(text), &i, err);
}

static int parse_referrers(struct err *err)
{
	static const char text[] = "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"a/b\",\"digest\":\"" DIGEST
				   "\",\"size\":2,\"data\":\"e30=\",\"urls\":[\"x\",\"y\"],\"artifactType\":\"c/d\","
				   "\"annotations\":{\"k\":\"v\",\"l\":\"w\"}}]}";
	CLEANUP(referrers_free) struct referrers list = { .n = 0 };

	return referrers_add(&list, bytes_of(text), NULL, err);
}

static int write_referrers(struct err *err)
{
	static const char manifest[] = "{\"schemaVersion\":2,\"artifactType\":\"a/b\",\"config\":{},\"layers\":[],"
				       "\"annotations\":{\"k\":\"v\"}}";
	CLEANUP(buf_free) struct buf out = BUF_INIT(4096);
	struct digest d = { .algorithm = DIGEST_SHA256 };
	bool listed;

	return referrers_index_add((struct bytes){ NULL, 0 }, bytes_of(manifest), &d, &out, &listed, err);
}

static int parse_config(struct err *err)
{
	static const char text[] =
		"{\"os\":\"linux\",\"author\":\"a\",\"config\":{\"Env\":[\"A=b\",\"C=d\"],\"Cmd\":\"sh\","
		"\"Volumes\":{\"/v\":{}},\"Labels\":{\"a\":\"b\"},\"Healthcheck\":{\"Test\":[\"x\"]}},"
		"\"rootfs\":{\"diff_ids\":[\"" DIGEST "\"]},\"history\":[{\"created_by\":\"x\"}]}";
	CLEANUP(image_config_free) struct image_config c = { 0 };

	return image_config_parse(bytes_of(text), &c, err);
}

static int parse_archive(struct err *err)
{
	static const char text[] = "[{\"Config\":\"c\",\"RepoTags\":[\"a:1\"],\"Layers\":[\"l\"]},"
				   "{\"Config\":\"d\",\"Layers\":null}]";
	CLEANUP(docker_archive_free) struct docker_archive a = { 0 };

	return docker_archive_parse(bytes_of(text), &a, err);
}

static int parse_layout_index(struct err *err)
{
	static const char text[] = "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"a/b\",\"size\":2,"
				   "\"digest\":\"" DIGEST "\",\"annotations\":{"
				   "\"org.opencontainers.image.ref.name\":\"latest\"}}]}";
	CLEANUP(oci_index_free) struct oci_index i = { 0 };

	return oci_index_parse(bytes_of(text), &i, err);
}

static void sweep(int (*parse)(struct err *err))
{
	struct err err = ERR_INIT;
	long n = 0;

	for (;; n++) {
		int r;

		countdown = n;
		r = parse(&err);
		if (countdown >= 0) {
			assert_int_equal(r, OK);
			break;
		}
		if (r != E_NO_MEMORY)
			failed("allocation %ld: code %d, %s", n, r, r == OK ? "" : err.text);
	}
	countdown = -1;
	print_message("          %ld allocations\n", n);
	assert_true(n > 10);
}

static void a_manifest_without_memory_is_out_of_memory(void **state UNUSED)
{
	sweep(parse_manifest);
}

static void an_index_without_memory_is_out_of_memory(void **state UNUSED)
{
	sweep(parse_index);
}

static void a_list_of_referrers_without_memory_is_out_of_memory(void **state UNUSED)
{
	sweep(parse_referrers);
	sweep(write_referrers);
}

static void a_configuration_without_memory_is_out_of_memory(void **state UNUSED)
{
	sweep(parse_config);
}

static void manifest_json_without_memory_is_out_of_memory(void **state UNUSED)
{
	sweep(parse_archive);
}

static void index_json_without_memory_is_out_of_memory(void **state UNUSED)
{
	sweep(parse_layout_index);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_manifest_without_memory_is_out_of_memory),
		cmocka_unit_test(an_index_without_memory_is_out_of_memory),
		cmocka_unit_test(a_list_of_referrers_without_memory_is_out_of_memory),
		cmocka_unit_test(a_configuration_without_memory_is_out_of_memory),
		cmocka_unit_test(manifest_json_without_memory_is_out_of_memory),
		cmocka_unit_test(index_json_without_memory_is_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

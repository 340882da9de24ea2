#include "tests/unit/types/unit.h"

#include "store/types/image_config.h"

#define HEX "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
#define ID "\"sha256:" HEX "\""
#define ROOTFS(ids) "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[" ids "]}"
#define CONFIG(fields) "{\"config\":{" fields "}," ROOTFS(ID) "}"

static void parse(const char *text, struct image_config *c)
{
	struct err err = ERR_INIT;

	assert_ok(image_config_parse(bytes_of(text), c, &err), &err);
}

static void refuse(const char *text, int code, const char *message)
{
	struct image_config c = { 0 };
	struct err err = ERR_INIT;

	assert_fails(image_config_parse(bytes_of(text), &c, &err), &err, code, message);
	assert_null(c.diff_ids);
}

static void a_configuration_is_read_with_all_its_fields(void **state UNUSED)
{
	static const char text[] =
		"{\"architecture\":\"arm64\",\"variant\":\"v8\",\"os\":\"linux\",\"os.version\":\"1\","
		"\"created\":\"2015-10-31T22:22:56.015925234Z\",\"author\":\"A\",\"comment\":\"c\","
		"\"docker_version\":\"1.2\",\"container\":\"cc\",\"container_config\":{\"Hostname\":\"h\"},"
		"\"config\":{\"User\":\"1:1\",\"Domainname\":\"d\",\"Image\":\"i\",\"WorkingDir\":\"/w\","
		"\"MacAddress\":\"m\",\"StopSignal\":\"SIGKILL\",\"Tty\":true,\"ArgsEscaped\":true,"
		"\"NetworkDisabled\":true,\"StopTimeout\":0,\"Env\":[\"A=b\",\"C=\"],\"Cmd\":[],"
		"\"Entrypoint\":[\"/e\",\"x\"],\"Shell\":[\"sh\"],\"OnBuild\":[\"RUN x\"],"
		"\"ExposedPorts\":{\"80/tcp\":{},\"443/tcp\":{}},\"Volumes\":{\"/v\":{}},"
		"\"Labels\":{\"z\":\"1\",\"a\":\"2\"},"
		"\"Healthcheck\":{\"Test\":[\"CMD\",\"x\"],\"Interval\":1000,\"Retries\":3}},"
		"\"history\":[{\"created\":\"2015-10-31T22:22:54Z\",\"created_by\":\"ADD\"},{\"created_by\":\"CMD\","
		"\"author\":\"B\",\"comment\":\"x\",\"empty_layer\":true}]," ROOTFS(ID) "}";
	CLEANUP(image_config_free) struct image_config c = { 0 };

	parse(text, &c);
	assert_string_equal(c.platform.architecture, "arm64");
	assert_string_equal(c.platform.variant, "v8");
	assert_string_equal(c.platform.os_version, "1");
	assert_int_equal(c.created.nanos, 15925234);
	assert_string_equal(c.container_config.hostname, "h");
	assert_string_equal(c.config.stop_signal, "SIGKILL");
	assert_true(c.config.tty && c.config.args_escaped && c.config.network_disabled && !c.config.open_stdin);
	assert_true(c.config.has_stop_timeout);
	assert_false(c.container_config.has_stop_timeout);
	assert_true(c.config.cmd.present);
	assert_int_equal(c.config.cmd.n, 0);
	assert_false(c.container_config.cmd.present);
	assert_string_equal(c.config.entrypoint.items[1], "x");
	assert_string_equal(c.config.exposed_ports.items[0], "443/tcp");
	assert_string_equal(c.config.labels.pairs[0].key, "a");
	assert_string_equal(c.config.labels.pairs[1].value, "1");
	assert_int_equal(c.config.healthcheck.retries, 3);
	assert_string_equal(c.config.healthcheck.test.items[0], "CMD");
	assert_int_equal(c.n_history, 2);
	assert_true(c.history[1].empty_layer);
	assert_false(c.history[1].created.present);
	assert_string_equal(c.history[0].comment, "");
}

/* With its keys sorted, as they are written. */
static void a_configuration_comes_back_as_it_was_written(void **state UNUSED)
{
	static const char text[] =
		"{\"architecture\":\"arm64\",\"author\":\"A\",\"comment\":\"c\",\"config\":{"
		"\"ArgsEscaped\":true,\"AttachStderr\":true,\"AttachStdin\":true,\"AttachStdout\":true,\"Cmd\":[],"
		"\"Domainname\":\"d\",\"Entrypoint\":[\"/e\",\"x\"],\"Env\":[\"A=b\",\"C=\"],"
		"\"ExposedPorts\":{\"443/tcp\":{},\"80/tcp\":{}},"
		"\"Healthcheck\":{\"Interval\":1,\"Retries\":2,\"StartInterval\":3,\"StartPeriod\":4,"
		"\"Test\":[\"CMD\",\"x\"],\"Timeout\":5},\"Hostname\":\"h\",\"Image\":\"i\","
		"\"Labels\":{\"a\":\"\",\"z\":\"1\"},\"MacAddress\":\"m\",\"NetworkDisabled\":true,"
		"\"OnBuild\":[\"RUN x\"],\"OpenStdin\":true,\"Shell\":[\"sh\"],\"StdinOnce\":true,"
		"\"StopSignal\":\"SIGKILL\",\"StopTimeout\":0,\"Tty\":true,\"User\":\"\xc3\xa9\","
		"\"Volumes\":{\"/v\":{}},\"WorkingDir\":\"/w\"},\"container\":\"cc\","
		"\"container_config\":{\"Hostname\":\"h\"},\"created\":\"2015-10-31T22:22:56.015925234Z\","
		"\"docker_version\":\"1.2\",\"history\":[{\"created\":\"2015-10-31T22:22:54Z\",\"created_by\":\"ADD\"},"
		"{\"author\":\"B\",\"comment\":\"x\",\"created_by\":\"CMD\",\"empty_layer\":true}],"
		"\"os\":\"linux\",\"os.version\":\"1\",\"rootfs\":{\"diff_ids\":[" ID "],\"type\":\"layers\"},"
		"\"variant\":\"v8\"}";
	CLEANUP(image_config_free) struct image_config c = { 0 };
	CLEANUP(buf_free) struct buf out = BUF_INIT(CONFIG_BYTES_MAX);
	struct err err = ERR_INIT;

	parse(text, &c);
	assert_ok(image_config_write(&c, &out, &err), &err);
	assert_string_equal(buf_text(&out), text);
}

static void what_cannot_be_written_is_said(void **state UNUSED)
{
	struct image_config c = { .author = (char *)"\xff" };
	CLEANUP(buf_free) struct buf out = BUF_INIT(16);
	struct string_pair pair = { (char *)"\xff", NULL };
	struct err err = ERR_INIT;

	assert_int_equal(image_config_write(&c, &out, &err), E_INVALID);
	c = (struct image_config){ .config = { .present = true, .labels = { true, &pair, 1 } } };
	assert_int_equal(image_config_write(&c, &out, &err), E_INVALID);
	c = (struct image_config){ .n_history = 0 };
	assert_int_equal(image_config_write(&c, &out, &err), E_LIMIT);
}

static void null_counts_as_absent(void **state UNUSED)
{
	CLEANUP(image_config_free) struct image_config c = { 0 };

	parse("{\"architecture\":null,\"created\":null,\"history\":null,\"container_config\":null,\"config\":{"
	      "\"User\":null,\"Env\":null,\"Cmd\":null,\"Volumes\":null,\"Labels\":null,\"Healthcheck\":null,"
	      "\"StopTimeout\":null,\"Tty\":null}," ROOTFS("") "}",
	      &c);
	assert_string_equal(c.platform.architecture, "");
	assert_string_equal(c.platform.os, "");
	assert_false(c.created.present);
	assert_false(c.config.env.present || c.config.cmd.present || c.config.volumes.present);
	assert_false(c.config.labels.present || c.config.healthcheck.present || c.config.has_stop_timeout);
	assert_true(c.config.present);
	assert_false(c.container_config.present);
	assert_string_equal(c.container_config.user, "");
}

static void a_command_may_be_one_string(void **state UNUSED)
{
	CLEANUP(image_config_free) struct image_config c = { 0 };

	parse(CONFIG("\"Cmd\":\"sh\",\"Entrypoint\":\"\""), &c);
	assert_int_equal(c.config.cmd.n, 1);
	assert_string_equal(c.config.cmd.items[0], "sh");
	assert_int_equal(c.config.entrypoint.n, 1);
	refuse(CONFIG("\"Env\":\"A=b\""), E_BAD_CONTENT, "config: config.Env: not an array");
}

static void wrong_types_are_refused_with_their_place(void **state UNUSED)
{
	refuse("{\"os\":123," ROOTFS(ID) "}", E_BAD_CONTENT, "config: os: not a string");
	refuse(CONFIG("\"User\":1234"), E_BAD_CONTENT, "config: config.User: not a string");
	refuse(CONFIG("\"Env\":[7353]"), E_BAD_CONTENT, "config: config.Env[0]: not a string");
	refuse(CONFIG("\"Env\":[\"foo\"]"), E_BAD_CONTENT, "config: config.Env[0]: not of the form NAME=value");
	refuse(CONFIG("\"Env\":[\"A=\",null]"), E_BAD_CONTENT, "config: config.Env[1]: missing");
	refuse(CONFIG("\"Volumes\":[\"/v\"]"), E_BAD_CONTENT, "config: config.Volumes: not an object");
	refuse(CONFIG("\"Volumes\":{\"/v\":1}"), E_BAD_CONTENT, "config: config.Volumes: a value is not an object");
	refuse(CONFIG("\"Labels\":{\"a\":1}"), E_BAD_CONTENT, "config: config.Labels: not a string");
	refuse(CONFIG("\"Tty\":\"yes\""), E_BAD_CONTENT, "config: config.Tty: not a boolean");
	refuse(CONFIG("\"Healthcheck\":{\"Retries\":1.5}"), E_BAD_CONTENT,
	       "config: config.Healthcheck.Retries: not an integer");
	refuse("{\"history\":\"x\"," ROOTFS(ID) "}", E_BAD_CONTENT, "config: history: not an array");
	refuse("{\"history\":[{\"created\":\"yesterday\"}]," ROOTFS(ID) "}", E_BAD_CONTENT,
	       "config: history[0].created: not an RFC 3339 time");
	refuse("{" ROOTFS("\"sha256:12\"") "}", E_BAD_CONTENT,
	       "config: rootfs.diff_ids[0]: invalid checksum digest length");
	refuse("{" ROOTFS("null") "}", E_BAD_CONTENT, "config: rootfs.diff_ids[0]: missing");
	refuse("{\"rootfs\":{\"type\":\"layers+base\"}}", E_UNSUPPORTED, "config: rootfs.type: ");
	refuse("{\"os\":\"linux\"}", E_BAD_CONTENT, "config: rootfs: missing");
	refuse("{\"os\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}", E_BAD_CONTENT,
	       "config: os: longer than 63 bytes");
}

static char *repeat(const char *before, const char *item, size_t count, const char *after)
{
	struct buf b = BUF_INIT(8 * 1024 * 1024);

	buf_puts(&b, before);
	for (size_t i = 0; i < count; i++)
		buf_printf(&b, "%s%s", i ? "," : "", item);
	buf_puts(&b, after);
	return buf_take(&b);
}

static void counts_have_limits(void **state UNUSED)
{
	CLEANUP(freep) char *ids = repeat("{\"rootfs\":{\"diff_ids\":[", ID, 501, "]}}");
	CLEANUP(freep) char *env = repeat("{\"config\":{\"Env\":[", "\"A=\"", 10001, "]}," ROOTFS(ID) "}");
	CLEANUP(freep) char *history = repeat("{\"history\":[", "{}", 4097, "]," ROOTFS(ID) "}");

	refuse(ids, E_BAD_CONTENT, "config: rootfs.diff_ids: more than 500 entries");
	refuse(env, E_BAD_CONTENT, "config: config.Env: more than 10000 entries");
	refuse(history, E_BAD_CONTENT, "config: history: more than 4096 entries");
}

/* A neighbour wrote past its array of layers here. */
static void pull_rejects_config_with_more_diff_ids_than_layers(void **state UNUSED)
{
	CLEANUP(image_config_free) struct image_config c = { 0 };
	struct err err = ERR_INIT;

	parse("{" ROOTFS(ID "," ID "," ID) "}", &c);
	assert_fails(image_config_check_layers(&c, 2, &err), &err, E_BAD_CONTENT,
		     "config: rootfs.diff_ids: 3 entries, but the manifest has 2 layers");
	assert_fails(image_config_check_layers(&c, 4, &err), &err, E_BAD_CONTENT, "config: rootfs.diff_ids: 3 entries");
	assert_int_equal(image_config_check_layers(&c, 3, &err), OK);
}

static void pull_rejects_config_with_more_history_than_layers(void **state UNUSED)
{
	CLEANUP(image_config_free) struct image_config c = { 0 };
	struct err err = ERR_INIT;

	parse("{\"history\":[{},{\"empty_layer\":true},{}]," ROOTFS(ID) "}", &c);
	assert_fails(image_config_check_layers(&c, 1, &err), &err, E_BAD_CONTENT,
		     "config: history: 2 entries with a layer, but there are 1 layers");
}

/* ---- times ----------------------------------------------------------------- */

static void expect_time(const char *text, int64_t seconds, int32_t nanos, const char *shown)
{
	struct err err = ERR_INIT;
	struct timestamp t;
	char out[40];

	assert_ok(timestamp_parse(text, &t, &err), &err);
	assert_int_equal(t.seconds, seconds);
	assert_int_equal(t.nanos, nanos);
	assert_string_equal(timestamp_text(&t, out), shown);
}

static void times_are_read_with_fraction_and_zone(void **state UNUSED)
{
	expect_time("1970-01-01T00:00:00Z", 0, 0, "1970-01-01T00:00:00Z");
	expect_time("2021-10-16T01:47:45.875971790Z", 1634348865, 875971790, "2021-10-16T01:47:45.87597179Z");
	expect_time("2021-10-16T09:47:45.5+08:00", 1634348865, 500000000, "2021-10-16T01:47:45.5Z");
	expect_time("2021-10-15T20:17:45-05:30", 1634348865, 0, "2021-10-16T01:47:45Z");
	expect_time("2021-10-16T01:47:45.1234567899999Z", 1634348865, 123456789, "2021-10-16T01:47:45.123456789Z");
	expect_time("0001-01-01T00:00:00Z", -62135596800, 0, "0001-01-01T00:00:00Z");
	expect_time("9999-12-31T23:59:59.999999999Z", 253402300799, 999999999, "9999-12-31T23:59:59.999999999Z");
	expect_time("1969-12-31T23:59:59.5Z", -1, 500000000, "1969-12-31T23:59:59.5Z");
	expect_time("2000-02-29T12:00:00Z", 951825600, 0, "2000-02-29T12:00:00Z");
	expect_time("1900-03-01T00:00:00Z", -2203891200, 0, "1900-03-01T00:00:00Z");
}

/* A neighbour refused images from after the end of 32 bits. */
static void images_dated_after_2038_are_accepted(void **state UNUSED)
{
	CLEANUP(image_config_free) struct image_config c = { 0 };

	expect_time("2038-01-19T03:14:08Z", INT64_C(2147483648), 0, "2038-01-19T03:14:08Z");
	parse("{\"created\":\"2106-02-07T06:28:16Z\"," ROOTFS(ID) "}", &c);
	assert_int_equal(c.created.seconds, INT64_C(4294967296));
}

static void every_day_comes_back_as_it_went(void **state UNUSED)
{
	for (int64_t day = -719162; day <= 2932896; day += 1) {
		struct timestamp t = { .present = true, .seconds = day * 86400 + 86399 }, back;
		char text[40];

		timestamp_text(&t, text);
		if (timestamp_parse(text, &back, NULL) < 0 || back.seconds != t.seconds)
			failed("%s", text);
	}
}

static void times_that_are_none_are_refused(void **state UNUSED)
{
	static const char *const texts[] = {
		"",
		"2021-10-16",
		"2021-10-16T01:47:45",
		"2021-10-16 01:47:45Z",
		"2021-10-16t01:47:45z",
		"2021-10-16T01:47:45Zx",
		"2021-10-16T01:47:45.Z",
		"2021-10-16T01:47:45,5Z",
		"2021-10-16T1:47:45Z",
		"2021-10-16T24:00:00Z",
		"2021-10-16T01:60:00Z",
		"2016-12-31T23:59:60Z",
		"2021-02-29T00:00:00Z",
		"1900-02-29T00:00:00Z",
		"2021-04-31T00:00:00Z",
		"2021-00-01T00:00:00Z",
		"2021-13-01T00:00:00Z",
		"2021-01-00T00:00:00Z",
		"0000-01-01T00:00:00Z",
		"10000-01-01T00:00:00Z",
		"-021-01-01T00:00:00Z",
		"0001-01-01T00:00:00+01:00",
		"9999-12-31T23:59:59-01:00",
		"2021-10-16T01:47:45+24:00",
		"2021-10-16T01:47:45+0800",
		"2021-10-16T01:47:45+08:60",
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct timestamp t;

		if (timestamp_parse(texts[i], &t, NULL) != E_INVALID)
			failed("%s", texts[i]);
	}
}

static void an_absent_time_is_the_zero_time_of_go(void **state UNUSED)
{
	struct timestamp t = { 0 };
	char text[40];

	assert_string_equal(timestamp_text(&t, text), "0001-01-01T00:00:00Z");
}

static void any_number_of_seconds_fits_the_text(void **state UNUSED)
{
	struct timestamp t = { .present = true, .seconds = INT64_MAX, .nanos = 999999999 };
	char text[40];

	assert_string_equal(timestamp_text(&t, text), "292277026596-12-04T15:30:07.999999999Z");
	t.seconds = INT64_MIN;
	assert_true(strlen(timestamp_text(&t, text)) < 40);
}

/* ---- chain IDs, tables of other projects ----------------------------------- */

static void chain_ids_follow_the_specification(void **state UNUSED)
{
	struct digest ids[2], expected, chain;
	char text[2 * DIGEST_TEXT_MAX + 1], first[DIGEST_TEXT_MAX], second[DIGEST_TEXT_MAX];

	digest_of(DIGEST_SHA256, bytes_of("a"), &ids[0]);
	digest_of(DIGEST_SHA256, bytes_of("b"), &ids[1]);
	chain = chain_id(ids, 1);
	assert_true(digest_eq(&chain, &ids[0]));
	snprintf(text, sizeof text, "%s %s", digest_text(&ids[0], first), digest_text(&ids[1], second));
	digest_of(DIGEST_SHA256, bytes_of(text), &expected);
	chain = chain_id(ids, 2);
	assert_true(digest_eq(&chain, &expected));
	chain = chain_id(ids, 0);
	assert_false(digest_is_set(&chain));
}

static void check_table(const char *file, const char *table)
{
	json_t *root = shared_json(file), *item;
	size_t i;

	if (!root)
		skip();
	json_array_foreach(json_object_get(root, table), i, item)
	{
		CLEANUP(image_config_free) struct image_config c = { 0 };
		const char *text = json_string_value(json_object_get(item, "config"));
		struct err err = ERR_INIT;

		if ((image_config_parse(bytes_of(text), &c, &err) < 0) != json_is_true(json_object_get(item, "fail")))
			failed("%s[%zu]: %s", table, i, err.text);
	}
	assert_true(i > 0);
	json_decref(root);
}

static void cases_of_the_image_specification_hold(void **state UNUSED)
{
	check_table("cases/registry/image-spec/config_cases.json", "TestConfig");
	check_table("cases/registry/image-spec/backwards_compatibility_cases.json", "TestBackwardsCompatibilityConfig");
}

static void real_configurations_are_accepted(void **state UNUSED)
{
	static const char *const files[] = { "oci1-all-media-types-config", "oci1-all-media-types-to-schema2-config",
					     "oci1-config-extra-fields",    "oci1-config",
					     "oci1-to-schema2-config",	    "schema1-to-oci1-config",
					     "schema1-to-schema2-config",   "schema2-config",
					     "schema2-to-oci1-config" };

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char name[256]; /* skip() runs no cleanup */
		CLEANUP(freep) char *text = NULL;
		CLEANUP(image_config_free) struct image_config c = { 0 };
		struct err err = ERR_INIT;

		snprintf(name, sizeof name, "cases/registry/manifests/conversion/%s.json", files[i]);
		text = shared_read(name);
		if (!text)
			skip();
		if (image_config_parse(bytes_of(text), &c, &err) < 0)
			failed("%s: %s", name, err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_configuration_is_read_with_all_its_fields),
		cmocka_unit_test(a_configuration_comes_back_as_it_was_written),
		cmocka_unit_test(what_cannot_be_written_is_said),
		cmocka_unit_test(null_counts_as_absent),
		cmocka_unit_test(a_command_may_be_one_string),
		cmocka_unit_test(wrong_types_are_refused_with_their_place),
		cmocka_unit_test(counts_have_limits),
		cmocka_unit_test(pull_rejects_config_with_more_diff_ids_than_layers),
		cmocka_unit_test(pull_rejects_config_with_more_history_than_layers),
		cmocka_unit_test(times_are_read_with_fraction_and_zone),
		cmocka_unit_test(images_dated_after_2038_are_accepted),
		cmocka_unit_test(every_day_comes_back_as_it_went),
		cmocka_unit_test(times_that_are_none_are_refused),
		cmocka_unit_test(an_absent_time_is_the_zero_time_of_go),
		cmocka_unit_test(any_number_of_seconds_fits_the_text),
		cmocka_unit_test(chain_ids_follow_the_specification),
		cmocka_unit_test(cases_of_the_image_specification_hold),
		cmocka_unit_test(real_configurations_are_accepted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

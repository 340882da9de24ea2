#include "tests/unit/types/unit.h"

#include "store/types/platform.h"
#include "store/types/platform_host.h"

static struct platform parse(const char *text)
{
	struct err err = ERR_INIT;
	struct platform p;

	assert_ok(platform_parse(text, &p, &err), &err);
	return p;
}

static void expect(const char *text, const char *shown)
{
	struct platform p = parse(text);
	char out[PLATFORM_TEXT_MAX];

	assert_string_equal(platform_text(&p, out), shown);
}

static void platforms_are_parsed_to_their_usual_names(void **state UNUSED)
{
	expect("linux/amd64", "linux/amd64");
	expect("Linux/x86_64", "linux/amd64");
	expect("linux/x86-64/v1", "linux/amd64");
	expect("linux/amd64/V3", "linux/amd64/v3");
	expect("linux/aarch64", "linux/arm64");
	expect("linux/arm64/v8", "linux/arm64/v8");
	expect("linux/arm64/9", "linux/arm64/v9");
	expect("linux/arm", "linux/arm");
	expect("linux/armhf", "linux/arm");
	expect("linux/arm/7", "linux/arm/v7");
	expect("linux/armel", "linux/arm/v6");
	expect("linux/i386", "linux/386");
	expect("macos/arm64", "darwin/arm64");
	expect("linux/whatever", "linux/whatever");
	expect("windows(10.0.17763)/amd64", "windows/amd64");
	assert_string_equal(parse("windows(10.0.17763)/amd64").os_version, "10.0.17763");
}

static void one_word_is_completed_from_the_host(void **state UNUSED)
{
	struct platform host = platform_host();

	assert_string_equal(parse("s390x").os, host.os);
	assert_string_equal(parse("s390x").architecture, "s390x");
	assert_string_equal(parse("linux").architecture, host.architecture);
	assert_string_equal(parse("darwin").os, "darwin");
}

static void unparsable_platforms_are_refused_in_the_words_of_docker(void **state UNUSED)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "a/b/c/d", "\"a/b/c/d\": cannot parse platform specifier: invalid argument" },
		{ "linux/arm/foo/bar", "\"linux/arm/foo/bar\": cannot parse platform specifier: invalid argument" },
		{ "", "\"\" is an invalid component of \"\"" },
		{ "/linux/arm", "\"\" is an invalid component of \"/linux/arm\"" },
		{ "linux/arm/", "\"\" is an invalid component of" },
		{ "linux /arm", "\"linux \" is an invalid component of" },
		{ "linux/&arm", "\"&arm\" is an invalid component of" },
		{ "li\nux/arm", "\"li\\x0aux\" is an invalid component of" },
		{ "windows(/amd64", "\"windows(\" is an invalid component of" },
		{ "nothing", "\"nothing\": unknown operating system or architecture: invalid argument" },
		{ "linux/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "\"aaaa" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		struct platform p;

		assert_fails(platform_parse(cases[i].text, &p, &err), &err, E_INVALID_PLATFORM, cases[i].message);
	}
}

static void equal_platforms_are_equal_however_they_are_written(void **state UNUSED)
{
	struct platform a = { .os = "linux", .architecture = "aarch64" };
	struct platform b = { .os = "Linux", .architecture = "arm64", .variant = "v8" };
	struct platform c = { .os = "linux", .architecture = "arm64", .variant = "v9" };

	assert_true(platform_eq(&a, &b));
	assert_false(platform_eq(&a, &c));
}

static unsigned rank(const char *wanted, const char *offered)
{
	struct platform w = parse(wanted), o = parse(offered);

	return platform_rank(&w, &o);
}

static void the_nearest_variant_below_is_preferred(void **state UNUSED)
{
	static const char *const amd64[] = { "linux/amd64/v3", "linux/amd64/v2", "linux/amd64", "linux/386" };
	static const char *const arm64[] = { "linux/arm64/v9.1", "linux/arm64/v9", "linux/arm64/v8.6",
					     "linux/arm64/v8.1", "linux/arm64/v8", "linux/arm/v8",
					     "linux/arm/v7",	 "linux/arm/v6",   "linux/arm/v5" };

	for (size_t i = 0; i + 1 < ARRAY_LEN(amd64); i++)
		assert_true(rank("linux/amd64/v3", amd64[i]) > rank("linux/amd64/v3", amd64[i + 1]));
	for (size_t i = 0; i + 1 < ARRAY_LEN(arm64); i++)
		assert_true(rank("linux/arm64/v9.1", arm64[i]) > rank("linux/arm64/v9.1", arm64[i + 1]));
	assert_int_equal(rank("linux/amd64/v3", "linux/amd64/v4"), 0);
	assert_int_equal(rank("linux/arm64/v9.1", "linux/arm/v4"), 0);
	assert_int_equal(rank("linux/riscv64", "linux/amd64"), 0);
	assert_true(rank("linux/riscv64", "linux/riscv64") > 0);
	assert_true(rank("linux/amd64/v0", "linux/386") > 0);
	assert_true(rank("linux/arm/v0", "linux/arm/v0") > 0);
}

static void windows_needs_the_same_build(void **state UNUSED)
{
	assert_true(rank("windows(10.0.17763.1)/amd64", "windows(10.0.17763.2114)/amd64") > 0);
	assert_true(rank("windows(10.0.17763)/amd64", "windows(10.0.17763.2114)/amd64") > 0);
	assert_true(rank("windows/amd64", "windows(10.0.17763)/amd64") > 0);
	assert_int_equal(rank("windows(10.0.14393.1)/amd64", "windows(10.0.17763.1)/amd64"), 0);
	assert_int_equal(rank("windows(10.0.177)/amd64", "windows(10.0.17763)/amd64"), 0);
	assert_int_equal(rank("linux/amd64", "windows/amd64"), 0);
}

static void cpu_bits_give_the_level_of_the_abi(void **state UNUSED)
{
	struct amd64_cpu none = { 0 }, all = { ~0u, ~0u, ~0u, 0xe7 }, cpu = all;

	assert_string_equal(amd64_variant(&none), "");
	assert_string_equal(amd64_variant(&all), "v4");
	cpu.xcr0 = 7; /* the kernel does not save the large registers */
	assert_string_equal(amd64_variant(&cpu), "v3");
	cpu.xcr0 = 0;
	assert_string_equal(amd64_variant(&cpu), "v2");
	cpu = all;
	cpu.basic_ecx &= ~(1u << 23); /* no POPCNT */
	assert_string_equal(amd64_variant(&cpu), "");
	assert_string_equal(arm64_variant(0, 0), "");
	assert_string_equal(arm64_variant(1u << 8 | 1u << 12, ~UINT64_C(0)), "v8.1");
	assert_string_equal(arm64_variant(~UINT64_C(0), 0), "v8.4");
	assert_string_equal(arm64_variant(~UINT64_C(0), ~UINT64_C(0)), "v9");
	assert_string_equal(arm_variant("v6l"), "v6");
	assert_string_equal(arm_variant(NULL), "v7");
}

static void the_host_runs_its_own_platform(void **state UNUSED)
{
	struct platform host = platform_host();
	char text[PLATFORM_TEXT_MAX];

	print_message("          this machine is %s\n", platform_text(&host, text));
	assert_string_equal(host.os, "linux");
	assert_true(platform_rank(&host, &host) > 0);
}

/* ---- tables of containerd -------------------------------------------------- */

/* Operating system features are not kept, so cases with them are left out. */
static bool has_features(const char *text)
{
	return strchr(text, '+') || strchr(text, '%') || strchr(text, '*');
}

static void check_matches(const char *wanted, json_t *list, bool expected)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		const char *offered = json_string_value(item);

		if ((rank(wanted, offered) > 0) != expected)
			failed("%s on %s: expected %d", offered, wanted, expected);
	}
}

static void the_choice_is_that_of_containerd(void **state UNUSED)
{
	json_t *root = shared_json("cases/registry/platforms/containerd_compare_test.json"), *item;
	size_t i;

	if (!root)
		skip();
	json_array_foreach(json_object_get(root, "TestOnly"), i, item)
	{
		const char *wanted = json_string_value(json_object_get(item, "platform"));
		json_t *lists = json_object_get(item, "matches");

		check_matches(wanted, json_object_get(lists, "true"), true);
		check_matches(wanted, json_object_get(lists, "false"), false);
	}
	assert_true(i > 10);
	json_decref(root);
}

static const char *member(json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static struct platform platform_of(json_t *object)
{
	struct platform p = { 0 };

	snprintf(p.os, sizeof p.os, "%s", member(object, "OS"));
	snprintf(p.architecture, sizeof p.architecture, "%s", member(object, "Architecture"));
	snprintf(p.variant, sizeof p.variant, "%s", member(object, "Variant"));
	snprintf(p.os_version, sizeof p.os_version, "%s", member(object, "OSVersion"));
	return p;
}

static void check_selector(json_t *item)
{
	struct platform p = parse(member(item, "input")), other;
	const char *formatted = member(item, "formatted");
	char text[PLATFORM_TEXT_MAX];
	json_t *match;
	size_t i;

	if (*formatted)
		assert_string_equal(platform_text(&p, text), formatted);
	if (*member(json_object_get(item, "expected"), "Architecture"))
		assert_string_equal(p.architecture, member(json_object_get(item, "expected"), "Architecture"));
	json_array_foreach(json_object_get(item, "matches"), i, match)
	{
		other = platform_of(match);
		assert_true(platform_eq(&p, &other));
	}
}

static void selectors_are_parsed_as_by_containerd(void **state UNUSED)
{
	json_t *root = shared_json("cases/registry/platforms/containerd_platforms_test.json"), *item;
	size_t i, done = 0;

	if (!root)
		skip();
	json_array_foreach(json_object_get(root, "TestParseSelector"), i, item)
	{
		if (json_is_true(json_object_get(item, "skip")) || has_features(member(item, "input")))
			continue;
		check_selector(item);
		done++;
	}
	assert_true(done > 15);
	json_array_foreach(json_object_get(root, "TestParseSelectorInvalid"), i, item)
	{
		struct platform p;

		assert_int_equal(platform_parse(member(item, "input"), &p, NULL), E_INVALID_PLATFORM);
	}
	json_decref(root);
}

/* Where the two differ we follow containerd: no Linux image on a host of another
 * system. */
static void the_choice_agrees_with_regclient_within_one_system(void **state UNUSED)
{
	json_t *root = shared_json("cases/registry/platforms/regclient_compare_test.json"), *item;
	size_t i, done = 0;

	if (!root)
		skip();
	json_array_foreach(json_object_get(root, "TestCompare"), i, item)
	{
		struct platform host = platform_of(json_object_get(item, "host"));
		struct platform target = platform_of(json_object_get(item, "target"));

		if (strcmp(host.os, target.os))
			continue;
		if ((platform_rank(&host, &target) > 0) != json_is_true(json_object_get(item, "expectCompat")))
			failed("%s", member(item, "name"));
		done++;
	}
	assert_true(done > 10);
	json_decref(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(platforms_are_parsed_to_their_usual_names),
		cmocka_unit_test(one_word_is_completed_from_the_host),
		cmocka_unit_test(unparsable_platforms_are_refused_in_the_words_of_docker),
		cmocka_unit_test(equal_platforms_are_equal_however_they_are_written),
		cmocka_unit_test(the_nearest_variant_below_is_preferred),
		cmocka_unit_test(windows_needs_the_same_build),
		cmocka_unit_test(cpu_bits_give_the_level_of_the_abi),
		cmocka_unit_test(the_host_runs_its_own_platform),
		cmocka_unit_test(the_choice_is_that_of_containerd),
		cmocka_unit_test(selectors_are_parsed_as_by_containerd),
		cmocka_unit_test(the_choice_agrees_with_regclient_within_one_system),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

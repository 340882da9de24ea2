#include "tests/unit/types/unit.h"

#include "store/types/reference.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void expect(const char *text, const char *canonical, const char *familiar)
{
	char out[REFERENCE_TEXT_MAX];
	struct err err = ERR_INIT;
	struct reference ref;

	assert_ok(reference_parse(text, &ref, &err), &err);
	assert_string_equal(reference_text(&ref, out), canonical);
	assert_string_equal(reference_familiar(&ref, out), familiar);
}

static void expect_error(const char *text, const char *message)
{
	struct err err = ERR_INIT;
	struct reference ref;

	assert_fails(reference_parse(text, &ref, &err), &err, E_INVALID_REFERENCE, message);
	assert_string_equal(err.text, message);
}

static void familiar_names_become_canonical_and_back(void **state UNUSED)
{
	expect("ubuntu", "docker.io/library/ubuntu", "ubuntu");
	expect("index.docker.io/a/b:x", "docker.io/a/b:x", "a/b:x");
	expect("localhost", "docker.io/library/localhost", "localhost");
	expect("localhost/a", "localhost/a", "localhost/a");
	expect("a:5000", "docker.io/library/a:5000", "a:5000");
	expect("a:5000/b", "a:5000/b", "a:5000/b");
	expect("[::1]:5000/a:b", "[::1]:5000/a:b", "[::1]:5000/a:b");
	expect("library/a/b", "docker.io/library/a/b", "library/a/b");
	expect("Foo/a", "Foo/a", "Foo/a");
	expect("sha256:abc", "docker.io/library/sha256:abc", "sha256:abc");
}

static void the_empty_domain_of_docker_is_kept(void **state UNUSED)
{
	struct err err = ERR_INIT;
	struct reference ref;

	assert_ok(reference_parse("a_b.c/d/e:t", &ref, &err), &err);
	assert_string_equal(ref.domain, "");
	assert_string_equal(ref.path, "a_b.c/d/e");
	assert_string_equal(ref.tag, "t");
	expect("a_b.c/d", "a_b.c/d", "a_b.c/d");
}

/* A neighbour refused this form for years. */
static void a_name_with_tag_and_digest_is_accepted(void **state UNUSED)
{
	struct err err = ERR_INIT;
	struct reference ref;

	assert_ok(reference_parse("x:t@sha256:" HEX64, &ref, &err), &err);
	assert_string_equal(ref.tag, "t");
	assert_true(digest_is_set(&ref.digest));
	assert_false(reference_default_tag(&ref));
	expect("x:t@sha256:" HEX64, "docker.io/library/x:t@sha256:" HEX64, "x:t@sha256:" HEX64);
}

static void errors_are_worded_as_docker_words_them(void **state UNUSED)
{
	static const char efmt[] = "invalid reference format";

	expect_error("", efmt);
	expect_error("a:b/c", efmt);
	expect_error("http://a/b", efmt);
	expect_error("a@b", efmt);
	expect_error("a:b@", efmt);
	expect_error("[fe80::1%25eth0]/a", efmt);
	expect_error("[]/a", efmt);
	expect_error("[::1/a", efmt);
	expect_error("[::1]5000/a", efmt);
	expect_error("a.b:/c", efmt);
	expect_error("a.b:80x/c", efmt);
	expect_error("Foo_b.c:80/a", efmt);
	expect_error("Ubuntu", "invalid reference format: repository name (library/Ubuntu) must be lowercase");
	expect_error("foo/Bar:t", "invalid reference format: repository name (foo/Bar) must be lowercase");
	expect_error("Foo_b/a", "repository name must be lowercase");
	expect_error(HEX64, "invalid repository name (" HEX64 "), cannot specify 64-byte hexadecimal strings");
	expect_error("x@sha256:" HEX64 HEX64, "invalid checksum digest length");
	expect_error("x:t@SHA256:" HEX64, "invalid checksum digest format");
	expect_error("x@md5:0123456789abcdef0123456789abcdef", "unsupported digest algorithm");
}

static void hostile_bytes_do_not_reach_the_message(void **state UNUSED)
{
	expect_error("A\x1b[31m", "invalid reference format");
	expect_error("A\xff", "invalid reference format");
	expect_error("a\nB", "invalid reference format");
	expect_error("\xd0\xb0lpine", "invalid reference format");
	expect_error("a/../b", "invalid reference format");
	expect_error("a%2fb", "invalid reference format");
	expect_error("user@host/a", "invalid reference format");
	expect_error("-a/b", "invalid reference format");
}

/* A name of `domain` letters, a slash and `path` letters. */
static char *name_of_lengths(size_t domain, size_t path, char *out)
{
	memset(out, 'a', domain + 1 + path);
	memcpy(out, "e.", 2);
	out[domain] = '/';
	out[domain + 1 + path] = 0;
	return out;
}

static void names_have_a_limit_without_their_domain_and_with_it(void **state UNUSED)
{
	char name[400], out[REFERENCE_TEXT_MAX];
	struct err err = ERR_INIT;
	struct reference ref;

	assert_ok(reference_parse(name_of_lengths(40, 255, name), &ref, &err), &err);
	assert_string_equal(reference_text(&ref, out), name);
	expect_error(name_of_lengths(3, 256, name), "repository name must not be more than 255 characters");
	expect_error(name_of_lengths(41, 255, name),
		     "registry and repository name together must not be more than 296 characters");
	memset(name, 'a', sizeof name);
	name[255 - strlen("library/")] = 0;
	assert_ok(reference_parse(name, &ref, &err), &err);
	name[strlen(name)] = 'a';
	name[256 - strlen("library/")] = 0;
	expect_error(name, "repository name must not be more than 255 characters");
	/* What cannot be a domain counts as path. */
	memset(name, 'a', sizeof name);
	memcpy(name, "a_b.c/", 6);
	name[256] = 0;
	expect_error(name, "repository name must not be more than 255 characters");
}

static void the_longest_reference_fits_its_buffer(void **state UNUSED)
{
	char text[REFERENCE_TEXT_MAX], out[REFERENCE_TEXT_MAX];
	struct err err = ERR_INIT;
	struct reference ref;
	int n;

	name_of_lengths(REFERENCE_NAME_MAX - REFERENCE_PATH_MAX - 1, REFERENCE_PATH_MAX, text);
	n = REFERENCE_NAME_MAX;
	text[n++] = ':';
	memset(text + n, 'T', REFERENCE_TAG_MAX);
	n += REFERENCE_TAG_MAX;
	snprintf(text + n, sizeof text - (size_t)n, "@sha512:%s%s", HEX64, HEX64);
	assert_ok(reference_parse(text, &ref, &err), &err);
	assert_string_equal(reference_text(&ref, out), text);
}

static void latest_is_added_only_without_tag_and_digest(void **state UNUSED)
{
	char out[REFERENCE_TEXT_MAX];
	struct err err = ERR_INIT;
	struct reference ref;

	assert_ok(reference_parse("busybox", &ref, &err), &err);
	assert_true(reference_default_tag(&ref));
	assert_false(reference_default_tag(&ref));
	assert_string_equal(reference_familiar(&ref, out), "busybox:latest");
	assert_ok(reference_parse("busybox@sha256:" HEX64, &ref, &err), &err);
	assert_false(reference_default_tag(&ref));
}

static void id_prefixes_are_lower_hex_with_or_without_algorithm(void **state UNUSED)
{
	assert_true(reference_is_id_prefix("a"));
	assert_true(reference_is_id_prefix("sha256:0"));
	assert_true(reference_is_id_prefix(HEX64));
	assert_true(reference_is_id_prefix("sha256:" HEX64));
	assert_false(reference_is_id_prefix(""));
	assert_false(reference_is_id_prefix("sha256:"));
	assert_false(reference_is_id_prefix("A"));
	assert_false(reference_is_id_prefix("xyz"));
	assert_false(reference_is_id_prefix(HEX64 "0"));
	assert_false(reference_is_id_prefix("sha512:0"));
}

static bool matches(const char *pattern, const char *text)
{
	struct err err = ERR_INIT;
	struct reference ref;
	bool match;

	assert_ok(reference_parse(text, &ref, &err), &err);
	assert_ok(reference_match(&ref, pattern, &match, &err), &err);
	return match;
}

static void the_filter_matches_as_path_match_of_go(void **state UNUSED)
{
	assert_true(matches("ubuntu", "ubuntu:22.04"));
	assert_false(matches("ubun", "ubuntu:22.04"));
	assert_true(matches("*:22*", "ubuntu:22.04"));
	assert_false(matches("library/ubuntu", "ubuntu:22.04"));
	assert_false(matches("docker.io/library/ubuntu", "ubuntu:22.04"));
	assert_false(matches("*", "example.com/a"));
	assert_true(matches("*/*", "example.com/a"));
	assert_true(matches("example.com[.-0]a", "example.com/a"));
	assert_true(matches("\\u\\buntu", "ubuntu"));
	assert_false(matches("[^u]*", "ubuntu:1"));
	assert_true(matches("[a-ct-v\\x]buntu", "ubuntu:1"));
	assert_true(matches("ubuntu:?", "ubuntu:1"));
	assert_false(matches("ubuntu?", "ubuntu"));
	assert_true(matches("**u***", "ubuntu"));
	assert_true(matches("[^\xc3\xa9]buntu", "ubuntu"));
	assert_false(matches("", "ubuntu"));
}

/* The first run that fits stays where it is, as in Go. */
static void the_filter_does_not_move_a_run_again(void **state UNUSED)
{
	assert_false(matches("*[^x]*b", "a.c/b"));
}

static void malformed_patterns_are_refused_wherever_the_match_ends(void **state UNUSED)
{
	static const char *const patterns[] = { "[",	 "[]", "[]a]", "[a", "[a-",   "[a-]",	 "[-a]",  "[^]",
						"[^]a]", "\\", "a[\\", "x[", "zzz*[", "ubuntu[", "[\xff]" };
	struct reference ref;

	assert_int_equal(reference_parse("ubuntu:22.04", &ref, NULL), OK);
	for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
		struct err err = ERR_INIT;
		bool match;

		assert_fails(reference_match(&ref, patterns[i], &match, &err), &err, E_INVALID_FILTER,
			     "syntax error in pattern");
	}
}

/* Nested stars must not cost exponential time. */
static void a_pattern_of_many_stars_is_fast(void **state UNUSED)
{
	char pattern[2001];

	for (size_t i = 0; i < 2000; i += 2)
		memcpy(pattern + i, "*a", 2);
	pattern[2000] = 0;
	assert_false(matches(pattern, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"));
}

/* ---- the recorded answers of docker's library ------------------------------ */

enum { COLUMNS = 8 };

/* Splits `line` at " | ". */
static size_t columns_of(char *line, char *columns[COLUMNS])
{
	size_t n = 0;

	while (n < COLUMNS) {
		char *bar = strstr(line, " | ");

		columns[n++] = line;
		if (!bar)
			break;
		*bar = 0;
		line = bar + 3;
	}
	return n;
}

static char *unquote(char *text)
{
	size_t len = strlen(text);

	assert_true(len >= 2 && text[0] == '"' && text[len - 1] == '"');
	text[len - 1] = 0;
	return text + 1;
}

static const char *unless_dash(const char *text)
{
	return strcmp(text, "-") ? text : "";
}

static void check_parsed(char *columns[COLUMNS])
{
	char text[REFERENCE_TEXT_MAX], digest[DIGEST_TEXT_MAX];
	struct err err = ERR_INIT;
	struct reference ref;

	assert_ok(reference_parse(unquote(columns[0]), &ref, &err), &err);
	assert_string_equal(ref.domain, columns[1]);
	assert_string_equal(ref.path, columns[2]);
	assert_string_equal(ref.tag, unless_dash(columns[3]));
	assert_string_equal(digest_text(&ref.digest, digest), unless_dash(columns[4]));
	assert_string_equal(reference_familiar_name(&ref, text), columns[5]);
	assert_string_equal(reference_familiar(&ref, text), columns[6]);
	assert_string_equal(reference_text(&ref, text), columns[7]);
}

static void check_match(char *columns[COLUMNS])
{
	struct err err = ERR_INIT;
	struct reference ref;
	bool match = false;
	int r;

	assert_ok(reference_parse(columns[1], &ref, &err), &err);
	r = reference_match(&ref, unquote(columns[0]), &match, &err);
	assert_string_equal(r < 0 ? err.text : "<nil>", columns[3]);
	assert_string_equal(match ? "true" : "false", columns[2]);
}

/* Runs `check` on the lines of one section; returns how many there were. */
static size_t each_line(const char *title, void (*check)(char *line))
{
	CLEANUP(freep) char *text = shared_read("golden/records/00-library.txt");
	char *line, *save;
	size_t n = 0;

	if (!text)
		skip();
	line = strstr(text, title);
	assert_non_null(line);
	line = strtok_r(line, "\n", &save);
	while ((line = strtok_r(NULL, "\n", &save)) && line[0] == '"') {
		check(line);
		n++;
	}
	return n;
}

static void check_parse_line(char *line)
{
	char *columns[COLUMNS] = { 0 };
	size_t n = columns_of(line, columns);

	if (n == COLUMNS) {
		check_parsed(columns);
		return;
	}
	assert_int_equal(n, 2);
	assert_memory_equal(columns[1], "ERR ", 4);
	expect_error(unquote(columns[0]), columns[1] + 4);
}

static void check_match_line(char *line)
{
	char *columns[COLUMNS] = { 0 };

	assert_int_equal(columns_of(line, columns), 4);
	check_match(columns);
}

static void recorded_references_parse_as_in_docker(void **state UNUSED)
{
	assert_true(each_line("# reference.ParseNormalizedNamed", check_parse_line) > 60);
}

static void recorded_filters_match_as_in_docker(void **state UNUSED)
{
	assert_true(each_line("# reference.FamiliarMatch", check_match_line) > 15);
}

/* ---- tables of other projects ---------------------------------------------- */

static void known_domains_are_accepted_and_others_refused(void **state UNUSED)
{
	json_t *root = shared_json("cases/registry/reference/regexp_test.json"), *item;
	size_t i;

	if (!root)
		skip();
	json_array_foreach(json_object_get(root, "TestDomainRegexp"), i, item)
	{
		CLEANUP(freep) char *text = format("%s/x", json_string_value(json_object_get(item, "input")));
		bool match = json_is_true(json_object_get(item, "match"));
		struct err err = ERR_INIT;
		struct reference ref;

		if ((reference_parse(text, &ref, &err) == OK) != match)
			failed("%s: %s", text, err.text);
	}
	assert_true(i > 20);
	json_decref(root);
}

/* "a:5000" is no name, but a reference with a tag. */
static bool reads_as_tag(const char *input)
{
	const char *colon = strrchr(input, ':');

	return colon && !strchr(colon, '/');
}

static void check_full_name(json_t *item)
{
	const char *input = json_string_value(json_object_get(item, "input"));
	json_t *subs = json_object_get(item, "subs");
	const char *path = json_string_value(json_array_get(subs, 1));
	struct err err = ERR_INIT;
	struct reference ref;
	int r = reference_parse(input, &ref, &err);

	if (reads_as_tag(input))
		return;
	if ((r == OK) != json_is_true(json_object_get(item, "match")) && strlen(input) < 200)
		failed("%s: %s", input, err.text);
	if (r == OK && path && strcmp(ref.domain, "docker.io")) {
		assert_string_equal(ref.domain, json_string_value(json_array_get(subs, 0)));
		assert_string_equal(ref.path, path);
	}
}

static void known_names_are_split_into_domain_and_path(void **state UNUSED)
{
	json_t *root = shared_json("cases/registry/reference/regexp_test.json"), *item;
	size_t i;

	if (!root)
		skip();
	json_array_foreach(json_object_get(root, "TestFullNameRegexp"), i, item) check_full_name(item);
	assert_true(i > 50);
	json_decref(root);
}

static void check_list(json_t *root, const char *name, bool good)
{
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(root, name), i, item)
	{
		struct err err = ERR_INIT;
		struct reference ref;

		if ((reference_parse(json_string_value(item), &ref, &err) == OK) != good)
			failed("%s: %s: %s", name, json_string_value(item), err.text);
	}
	assert_true(i > 0);
}

static void names_that_another_library_takes_are_taken(void **state UNUSED)
{
	json_t *digests = shared_json("cases/registry/reference/ggcr_digest_test.json");
	json_t *repositories = shared_json("cases/registry/reference/ggcr_repository_test.json");

	if (!digests || !repositories)
		skip();
	check_list(digests, "badDigestNames", false);
	check_list(digests, "goodStrictValidationDigestNames", true);
	check_list(digests, "goodStrictValidationTagDigestNames", true);
	check_list(digests, "goodWeakValidationDigestNames", true);
	check_list(digests, "goodWeakValidationTagDigestNames", true);
	check_list(repositories, "badRepositoryNames", false);
	check_list(repositories, "goodStrictValidationRepositoryNames", true);
	check_list(repositories, "goodWeakValidationRepositoryNames", true);
	json_decref(digests);
	json_decref(repositories);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(familiar_names_become_canonical_and_back),
		cmocka_unit_test(the_empty_domain_of_docker_is_kept),
		cmocka_unit_test(a_name_with_tag_and_digest_is_accepted),
		cmocka_unit_test(errors_are_worded_as_docker_words_them),
		cmocka_unit_test(hostile_bytes_do_not_reach_the_message),
		cmocka_unit_test(names_have_a_limit_without_their_domain_and_with_it),
		cmocka_unit_test(the_longest_reference_fits_its_buffer),
		cmocka_unit_test(latest_is_added_only_without_tag_and_digest),
		cmocka_unit_test(id_prefixes_are_lower_hex_with_or_without_algorithm),
		cmocka_unit_test(the_filter_matches_as_path_match_of_go),
		cmocka_unit_test(the_filter_does_not_move_a_run_again),
		cmocka_unit_test(malformed_patterns_are_refused_wherever_the_match_ends),
		cmocka_unit_test(a_pattern_of_many_stars_is_fast),
		cmocka_unit_test(recorded_references_parse_as_in_docker),
		cmocka_unit_test(recorded_filters_match_as_in_docker),
		cmocka_unit_test(known_domains_are_accepted_and_others_refused),
		cmocka_unit_test(known_names_are_split_into_domain_and_path),
		cmocka_unit_test(names_that_another_library_takes_are_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

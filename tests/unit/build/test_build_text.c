/* Quotes, suggestions, paths, names of secrets, numbers. */
#include "tests/unit/build/unit.h"

#include "service/build/duration.h"
#include "service/build/number.h"
#include "service/build/path_glob.h"
#include "service/build/quote.h"
#include "service/build/secret_name.h"
#include "service/build/suggest.h"
#include "store/types/path.h"

struct row {
	const char *in, *out;
};

static void quotes(void **state)
{
	static const struct row rows[] = {
		{ "", "\"\"" },
		{ "a b", "\"a b\"" },
		{ "a\"b\\c", "\"a\\\"b\\\\c\"" },
		{ "\a\b\f\n\r\t\v\x01\x7f", "\"\\a\\b\\f\\n\\r\\t\\v\\x01\\x7f\"" },
		{ "\xed\x95\x9c\xe2\x99\xa5", "\"\xed\x95\x9c\xe2\x99\xa5\"" },
		{ "\xff\xc2", "\"\\xff\\xc2\"" },
		{ "\xc2\xa0\xe2\x80\x8b", "\"\\u00a0\\u200b\"" },
		{ "\xf3\xa0\x80\x81", "\"\\U000e0001\"" },
	};
	CLEANUP(buf_free) struct buf runes = BUF_INIT(256);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(buf_free) struct buf out = BUF_INIT(4096);

		quote_go(&out, bytes_of(rows[i].in));
		check_row(rows[i].out, buf_text(&out), rows[i].in);
	}
	for (uint32_t rune = 0; rune < 100; rune += 13)
		quote_rune(&runes, rune);
	quote_rune(&runes, '\'');
	quote_rune(&runes, 0x7fffffff);
	assert_string_equal(buf_text(&runes), "'\\x00''\\r''\\x1a''\\'''4''A''N''[''\\'''\xef\xbf\xbd'");
}

static void suggestions(void **state)
{
	static const char *const options[] = { "COPY", "CMD", "RUN", "NAME=value" };
	static const struct row rows[] = {
		{ "COPPY", " (did you mean COPY?)" },
		{ "coppy", " (did you mean copy?)" },
		{ "RUN", "" },
		{ "run", "" },
		{ "ENTRYPOINT", "" },
		{ "NAMES", " (did you mean NAME?)" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct suggestion s;

		check_row(rows[i].out, suggest(bytes_of(rows[i].in), options, ARRAY_LEN(options), true, &s),
			  rows[i].in);
	}
}

static void paths(void **state)
{
	static const struct row rows[] = {
		{ "", "." },
		{ ".", "." },
		{ "/", "/" },
		{ "//a//b/", "/a/b" },
		{ "a/./b/../c", "a/c" },
		{ "../a/../..", "../.." },
		{ "/../a", "/a" },
		{ "a/..", "." },
		{ "a/../..", ".." },
		{ "/a/../..", "/" },
		{ "..a/.b", "..a/.b" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(buf_free) struct buf out = BUF_INIT(4096);

		assert_true(path_clean(bytes_of(rows[i].in), &out));
		check_row(rows[i].out, buf_text(&out), rows[i].in);
	}
}

struct glob_row {
	const char *pattern, *matching, *other;
};

static void globs(void **state)
{
	static const struct glob_row rows[] = {
		{ "a", "a", "b" },
		{ "", "", "a" },
		{ "*", "a", "a/b" },
		{ "**", "ab", "a/b" },
		{ "a/**/b", "a/x/b", "a/x/y/b" },
		{ "a*", "abc", "b" },
		{ "*.[ch]", "a.h", "a.o" },
		{ "[^a]", "b", "a" },
		{ "a?c",
		  "a\xe2\x98\xba"
		  "c",
		  "a/c" },
		{ "a\\*", "a*", "ab" },
		{ "[\\]a]", "]", "b" },
		{ "*a*b", "xaxb", "xax" },
		{ "\xff*", "\xff\xfe", "\xfe" },
	};
	static const char *const wrong[] = { "[", "[]a]", "[a", "[a-", "[-a]", "a\\", "[a-b-c]" };
	CLEANUP(arena_free) struct arena a;
	struct path_glob g;

	(void)state;
	arena_init(&a, 1024 * 1024);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(path_glob_compile(bytes_of(rows[i].pattern), &a, &g, NULL), OK);
		if (!path_glob_matches(&g, bytes_of(rows[i].matching)))
			check_row("a match", "none", rows[i].pattern);
		if (path_glob_matches(&g, bytes_of(rows[i].other)))
			check_row("none", "a match", rows[i].pattern);
	}
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_int_equal(path_glob_compile(bytes_of(wrong[i]), &a, &g, NULL), E_INVALID);
	assert_true(path_has_wildcards("a[b]") && path_has_wildcards("\\a*") && !path_has_wildcards("a\\*b"));
}

static void secret_names(void **state)
{
	static const char *const secret[] = { "KEY",	  "api_key",	"API_KEY_2", "TOKEN",	   "GITHUB_TOKEN",
					      "password", "x_passwd_y", "AUTH",	     "credentials" };
	static const char *const harmless[] = {
		"", "MONKEY", "KEYS", "PUBLIC_KEY", "KEY_FILE", "TOKEN_VERSION", "PASS"
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(secret); i++)
		if (!is_secret_name(secret[i]))
			check_row("a secret", "none", secret[i]);
	for (size_t i = 0; i < ARRAY_LEN(harmless); i++)
		if (is_secret_name(harmless[i]))
			check_row("none", "a secret", harmless[i]);
}

static void durations_are_printed(void **state)
{
	static const struct {
		int64_t ns;
		const char *text;
	} rows[] = {
		{ 0, "0s" },
		{ 1, "1ns" },
		{ 1500, "1.5\xc2\xb5s" },
		{ 2000000, "2ms" },
		{ 1000000000, "1s" },
		{ 90000000000, "1m30s" },
		{ 3600000000000, "1h0m0s" },
		{ 1001000000, "1.001s" },
		{ -5000000000, "-5s" },
		{ INT64_MAX, "2562047h47m16.854775807s" },
		{ INT64_MIN, "-2562047h47m16.854775808s" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[DURATION_TEXT_MAX];

		check_row(rows[i].text, duration_text(rows[i].ns, text), rows[i].text);
	}
}

static void sizes(void **state)
{
	static const struct {
		const char *text;
		int64_t bytes; /* -1: none */
	} rows[] = {
		{ "0", 0 },
		{ "64", 64 },
		{ "1b", 1 },
		{ "64k", 65536 },
		{ "64KB", 65536 },
		{ "64kib", 65536 },
		{ "1.5m", 1572864 },
		{ "2 G", 2147483648 },
		{ "1t", 1099511627776 },
		{ "", -1 },
		{ "k", -1 },
		{ "1x", -1 },
		{ "1kk", -1 },
		{ "-1", -1 },
		{ "1kib2", -1 },
		{ "9999999999999999999", -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t bytes = 0;
		bool is = size_parse(rows[i].text, &bytes);

		if (is != (rows[i].bytes >= 0) || (is && bytes != rows[i].bytes))
			check_row("another size", "this", rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quotes),	cmocka_unit_test(suggestions), cmocka_unit_test(paths),
		cmocka_unit_test(secret_names), cmocka_unit_test(globs),       cmocka_unit_test(durations_are_printed),
		cmocka_unit_test(sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

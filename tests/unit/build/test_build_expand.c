/* Variables, quotes, escapes. */
#include "tests/unit/build/unit.h"

#include "service/build/expand.h"

static const char *get(void *arg, struct bytes name)
{
	static const struct {
		const char *name, *value;
	} known[] = {
		{ "A", "one" },	   { "B", "two words" }, { "EMPTY", "" },  { "Q", "\"'\\$A" },
		{ "P", "80 443" }, { "x_1", "under" },	 { "1", "first" },
	};

	(void)arg;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strlen(known[i].name) == name.len && !memcmp(known[i].name, name.data, name.len))
			return known[i].value;
	return NULL;
}

static const struct variables variables = { .get = get };
static const struct expand_rules rules = { .escape = '\\' };

struct row {
	const char *word, *value;
};

static void values(void **state)
{
	static const struct row rows[] = {
		{ "", "" },
		{ "plain", "plain" },
		{ "$A", "one" },
		{ "${A}", "one" },
		{ "a$A.b", "aone.b" },
		{ "$Ab", "" },
		{ "${A}b", "oneb" },
		{ "$x_1-", "under-" },
		{ "$UNSET", "" },
		{ "${UNSET}", "" },
		{ "$", "$" },
		{ "a$", "a$" },
		{ "$.", "$." },
		{ "$ A", "$ A" },
		{ "he$1x", "hefirstx" },
		{ "he$12", "he" },
		{ "$@x", "x" },
		{ "\\$A", "$A" },
		{ "a\\b", "ab" },
		{ "a\\\\b", "a\\b" },
		{ "a\\", "a" },
		{ "'$A'", "$A" },
		{ "'a\\'b", "a\\b" },
		{ "\"$A\"", "one" },
		{ "\"\\$A\"", "$A" },
		{ "\"a\\b\"", "a\\b" },
		{ "\"a\\\"b\"", "a\"b" },
		{ "\"a\\\\b\"", "a\\b" },
		{ "\"'$A'\"", "'one'" },
		{ "a' 'b\" \"c", "a b c" },
		{ "$Q", "\"'\\$A" }, /* once only */
		{ "${A:-x}", "one" },
		{ "${EMPTY:-x}", "x" },
		{ "${EMPTY-x}", "" },
		{ "${UNSET:-x}", "x" },
		{ "${UNSET-x}", "x" },
		{ "${UNSET:-}", "" },
		{ "${A:+x}", "x" },
		{ "${EMPTY:+x}", "" },
		{ "${EMPTY+x}", "x" },
		{ "${UNSET:+x}", "" },
		{ "${UNSET+x}", "" },
		{ "${A:?m}", "one" },
		{ "${EMPTY?m}", "" },
		{ "${UNSET:-$A}", "one" },
		{ "${UNSET:-${UNSET:-${A}}}", "one" },
		{ "${UNSET:-'$A'}", "$A" },
		{ "${UNSET:-\"}\"}", "}" },
		{ "${UNSET:-a b}", "a b" },
		{ "${A:+${B}}!", "two words!" },
		{ "\xc3\xa9$A\xe4\xb8\xad", "\xc3\xa9" },
		{ "\xc3\xa9${A}\xe4\xb8\xad", "\xc3\xa9one\xe4\xb8\xad" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(buf_free) struct buf out = BUF_INIT(EXPANDED_MAX);
		struct err err = ERR_INIT;

		if (expand(rows[i].word, &rules, &variables, &out, &err) < 0)
			check_row(rows[i].value, err.text, rows[i].word);
		check_row(rows[i].value, buf_text(&out), rows[i].word);
	}
}

static void errors(void **state)
{
	static const struct row rows[] = {
		{ "'a",
		  "failed to process \"'a\": unexpected end of statement while looking for matching single-quote" },
		{ "\"a",
		  "failed to process \"\\\"a\": unexpected end of statement while looking for matching double-quote" },
		{ "\"a\\", "failed to process \"\\\"a\\\\\": unexpected end of statement while looking for matching "
			   "double-quote" },
		{ "${", "failed to process \"${\": syntax error: missing '}'" },
		{ "${A", "failed to process \"${A\": syntax error: missing '}'" },
		{ "${A:", "failed to process \"${A:\": syntax error: missing '}'" },
		{ "${A:-x", "failed to process \"${A:-x\": syntax error: missing '}'" },
		{ "${}", "failed to process \"${}\": syntax error: bad substitution" },
		{ "${{A}}", "failed to process \"${{A}}\": syntax error: bad substitution" },
		{ "${:A}", "failed to process \"${:A}\": syntax error: bad substitution" },
		{ "${A^}", "failed to process \"${A^}\": unsupported modifier (^) in substitution" },
		{ "${A:}", "failed to process \"${A:}\": unsupported modifier (:}) in substitution" },
		{ "${A:#x}", "failed to process \"${A:#x}\": unsupported modifier (:#) in substitution" },
		{ "${A:%%x}", "failed to process \"${A:%%x}\": unsupported modifier (:%) in substitution" },
		{ "${A#x", "failed to process \"${A#x\": syntax error: missing '}'" },
		{ "${A/x}", "failed to process \"${A/x}\": syntax error: missing '/' in ${}" },
		{ "${A/x/y", "failed to process \"${A/x/y\": syntax error: missing '}'" },
		{ "${A#\\x}", "failed to process \"${A#\\\\x}\": invalid pattern (\\x) in substitution: invalid escape "
			      "'\\x'" },
		{ "${UNSET:?}", "failed to process \"${UNSET:?}\": UNSET: is not allowed to be unset" },
		{ "${EMPTY:?}", "failed to process \"${EMPTY:?}\": EMPTY: is not allowed to be empty" },
		{ "${UNSET?say $A}", "failed to process \"${UNSET?say $A}\": UNSET: say one" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(buf_free) struct buf out = BUF_INIT(EXPANDED_MAX);
		struct err err = ERR_INIT;

		assert_int_equal(expand(rows[i].word, &rules, &variables, &out, &err), E_INVALID);
		check_row(rows[i].value, err.text, rows[i].word);
		assert_int_equal(expand(rows[i].word, &rules, &variables, &out, NULL), E_INVALID);
	}
}

static void other_escape(void **state)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(EXPANDED_MAX);
	const struct expand_rules other = { .escape = '`' };
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(expand("C:\\dir`$A", &other, &variables, &out, &err), OK);
	assert_string_equal(buf_text(&out), "C:\\dir$A");
}

struct pattern_row {
	const char *word, *value, *expected;
};

static const char *get_value(void *arg, struct bytes name)
{
	return bytes_are(name, "V") ? arg : NULL;
}

static void patterns(void **state)
{
	static const struct pattern_row rows[] = {
		{ "${V#a}", "abc", "bc" },
		{ "${V#b}", "abc", "abc" },
		{ "${V#*b}", "abcbd", "cbd" },
		{ "${V##*b}", "abcbd", "d" },
		{ "${V#*}", "abc", "abc" },
		{ "${V##*}", "abc", "" },
		{ "${V#?}", "abc", "bc" },
		{ "${V#??}", "\xed\x95\x9c\xea\xb5\xad\xec\x96\xb4", "\xec\x96\xb4" },
		{ "${V%c}", "abc", "ab" },
		{ "${V%b*}", "abcbd", "abc" },
		{ "${V%%b*}", "abcbd", "a" },
		{ "${V%.*}", "a.tar.gz", "a.tar" },
		{ "${V%%.*}", "a.tar.gz", "a" },
		{ "${V%\\*}", "ab*", "ab" },
		{ "${V%\\*}", "abc", "abc" },
		{ "${V##*/}", "/a/b/c", "c" },
		{ "${V%/*}", "/a/b/c", "/a/b" },
		{ "${V#[a]}", "a[a]", "a[a]" },
		{ "${V#[a]}", "[a]b", "b" },
		{ "${V#*}", "", "" },
		{ "${V#a*c*e}", "abcdefe", "fe" },
		{ "${V##a*c*e}", "abcdefe", "" },
		{ "${V/b/x}", "abcb", "axcb" },
		{ "${V//b/x}", "abcb", "axcx" },
		{ "${V/b/}", "abcb", "acb" },
		{ "${V//b*/x}", "abcb", "ax" },
		{ "${V/*/x}", "abc", "x" },
		{ "${V//*/x}", "abc", "x" },
		{ "${V//?/x}", "abc", "xxx" },
		{ "${V///x}", "ab", "xaxbx" },
		{ "${V/\\//-}", "/a/b", "-a/b" },
		{ "${V/a/${V}}", "ab", "abb" },
		{ "${V/a/'x y'}", "ab", "x yb" },
		{ "${U#a}", "", "" },
		{ "${U/a/b}", "", "" },
		{ "${V#*b}", "a\nb", "a\nb" }, /* one line only */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(buf_free) struct buf out = BUF_INIT(EXPANDED_MAX);
		struct variables v = { .get = get_value, .arg = (void *)rows[i].value };
		struct err err = ERR_INIT;

		if (expand(rows[i].word, &rules, &v, &out, &err) < 0)
			check_row(rows[i].expected, err.text, rows[i].word);
		check_row(rows[i].expected, buf_text(&out), rows[i].word);
	}
}

static void patterns_are_bounded(void **state)
{
	CLEANUP(buf_free)
	struct buf word = BUF_INIT(EXPANDED_MAX), text = BUF_INIT(EXPANDED_MAX), out = BUF_INIT(EXPANDED_MAX);
	struct variables v = { .get = get_value };
	struct err err = ERR_INIT;

	(void)state;
	for (int i = 0; i < 200000; i++)
		buf_putc(&text, 'a');
	v.arg = (void *)buf_text(&text);
	buf_printf(&word, "${V//%.100000sb/x}", buf_text(&text));
	assert_int_equal(expand(buf_text(&word), &rules, &v, &out, &err), E_LIMIT);
}

static void rules_keep_what_they_say(void **state)
{
	static const struct {
		struct expand_rules rules;
		const char *word, *value;
	} rows[] = {
		{ { .escape = '\\', .keep_quotes = true }, "'a b'\"c\"", "'a b'\"c\"" },
		{ { .escape = '\\', .keep_escapes = true }, "a\\b", "a\\b" },
		{ { .escape = '\\', .keep_unset = true },
		  "$U ${U} ${U:-x} ${U#x} ${U/a/b} $A",
		  "$U ${U} ${U:-x} ${U#x} ${U/a/b} one" },
		{ { .escape = '\\', .no_quotes = true }, "'$A\"\\$A", "'one\"$A" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(buf_free) struct buf out = BUF_INIT(EXPANDED_MAX);

		assert_int_equal(expand(rows[i].word, &rows[i].rules, &variables, &out, NULL), OK);
		check_row(rows[i].value, buf_text(&out), rows[i].word);
	}
}

static void nesting_is_bounded(void **state)
{
	enum { LEVELS = 5000 };
	CLEANUP(buf_free) struct buf word = BUF_INIT(1024 * 1024), out = BUF_INIT(EXPANDED_MAX);
	struct err err = ERR_INIT;

	(void)state;
	for (int i = 0; i < LEVELS; i++)
		buf_puts(&word, "${U:-");
	for (int i = 0; i < LEVELS; i++)
		buf_putc(&word, '}');
	assert_int_equal(expand(buf_text(&word), &rules, &variables, &out, &err), E_INVALID);
	assert_non_null(strstr(err.text, "more than 32"));
}

static void value_is_bounded(void **state)
{
	CLEANUP(buf_free) struct buf word = BUF_INIT(4 * 1024 * 1024), out = BUF_INIT(EXPANDED_MAX);
	struct err err = ERR_INIT;

	(void)state;
	for (int i = 0; i < EXPANDED_MAX / 3; i++)
		buf_puts(&word, "${B}");
	assert_int_equal(expand(buf_text(&word), &rules, &variables, &out, &err), E_LIMIT);
}

static void words(void **state)
{
	static const struct row rows[] = {
		{ "", "" },
		{ "a", "a|" },
		{ "$P", "80|443|" },
		{ "\"$P\"", "80 443|" },
		{ "a$P", "a80|443|" },
		{ "${P}b", "80|443b|" },
		{ "$EMPTY", "" },
		{ "''", "" },
		{ "'a b'c", "a bc|" },
		{ "$P$P", "80|44380|443|" },
		{ "${U:-a b}", "a|b|" },
		{ "a\\ b", "a b|" },
		{ "a\xc2\xa0"
		  "b",
		  "a|b|" },
		{ "<< a", "<< a|" },
		{ "a <<-\tb c", "a|<<-\tb|c|" },
		{ "a <<-b c", "a|<<-b|c|" },
		{ "a <<\tb c", "a|<<\tb|c|" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(arena_free) struct arena a;
		CLEANUP(buf_free) struct buf all = BUF_INIT(4096);
		struct string_list list = { .n = 0 };

		arena_init(&a, 1024 * 1024);
		assert_int_equal(expand_words(rows[i].word, &rules, &variables, &a, &list, NULL), OK);
		for (size_t k = 0; k < list.n; k++)
			buf_printf(&all, "%s|", list.items[k]);
		check_row(rows[i].value, buf_text(&all), rows[i].word);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values),
		cmocka_unit_test(errors),
		cmocka_unit_test(other_escape),
		cmocka_unit_test(nesting_is_bounded),
		cmocka_unit_test(value_is_bounded),
		cmocka_unit_test(words),
		cmocka_unit_test(patterns),
		cmocka_unit_test(patterns_are_bounded),
		cmocka_unit_test(rules_keep_what_they_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

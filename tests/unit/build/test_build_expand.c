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

		if (expand(rows[i].word, '\\', &variables, &out, &err) < 0)
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
		{ "${A#x}", "failed to process \"${A#x}\": unsupported modifier (#) in substitution" },
		{ "${UNSET:?}", "failed to process \"${UNSET:?}\": UNSET: is not allowed to be unset" },
		{ "${EMPTY:?}", "failed to process \"${EMPTY:?}\": EMPTY: is not allowed to be empty" },
		{ "${UNSET?say $A}", "failed to process \"${UNSET?say $A}\": UNSET: say one" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(buf_free) struct buf out = BUF_INIT(EXPANDED_MAX);
		struct err err = ERR_INIT;

		assert_int_equal(expand(rows[i].word, '\\', &variables, &out, &err), E_INVALID);
		check_row(rows[i].value, err.text, rows[i].word);
		assert_int_equal(expand(rows[i].word, '\\', &variables, &out, NULL), E_INVALID);
	}
}

static void other_escape(void **state)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(EXPANDED_MAX);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(expand("C:\\dir`$A", '`', &variables, &out, &err), OK);
	assert_string_equal(buf_text(&out), "C:\\dir$A");
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
	assert_int_equal(expand(buf_text(&word), '\\', &variables, &out, &err), E_INVALID);
	assert_non_null(strstr(err.text, "more than 32"));
}

static void value_is_bounded(void **state)
{
	CLEANUP(buf_free) struct buf word = BUF_INIT(4 * 1024 * 1024), out = BUF_INIT(EXPANDED_MAX);
	struct err err = ERR_INIT;

	(void)state;
	for (int i = 0; i < EXPANDED_MAX / 3; i++)
		buf_puts(&word, "${B}");
	assert_int_equal(expand(buf_text(&word), '\\', &variables, &out, &err), E_LIMIT);
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
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(arena_free) struct arena a;
		CLEANUP(buf_free) struct buf all = BUF_INIT(4096);
		struct string_list list = { .n = 0 };

		arena_init(&a, 1024 * 1024);
		assert_int_equal(expand_words(rows[i].word, '\\', &variables, &a, &list, NULL), OK);
		for (size_t k = 0; k < list.n; k++)
			buf_printf(&all, "%s|", list.items[k]);
		check_row(rows[i].value, buf_text(&all), rows[i].word);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values),	    cmocka_unit_test(errors),
		cmocka_unit_test(other_escape),	    cmocka_unit_test(nesting_is_bounded),
		cmocka_unit_test(value_is_bounded), cmocka_unit_test(words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

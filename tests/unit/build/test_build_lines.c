/* Instructions out of a text. */
#include "tests/unit/build/unit.h"

#include "service/build/lines.h"

struct row {
	const char *text, *lines; /* "|" behind each */
};

/* Each line, or the error. */
static void lines_in(const char *text, struct buf *out)
{
	CLEANUP(arena_free) struct arena a;
	struct lines l = lines_of(bytes_of(text));
	struct err err = ERR_INIT;
	struct line line;
	int r;

	arena_init(&a, 1024 * 1024);
	while ((r = lines_next(&l, &a, &line, &err)) > 0) {
		buf_append(out, line.text.data, line.text.len);
		buf_printf(out, "|%s", line.empty_continuation ? "!" : "");
	}
	if (r < 0)
		buf_printf(out, "%d: %s", l.number, err.text);
}

static void lines_are_joined_and_comments_dropped(void **state)
{
	static const struct row rows[] = {
		{ "", "" },
		{ "\n\n \t\n", "" },
		{ "# only\n  # comments", "" },
		{ "ENV a=b", "ENV a=b|" },
		{ "  ENV a=b\nCMD x\n", "ENV a=b|CMD x|" },
		{ "ENV a=b\r\nCMD x\r\n", "ENV a=b|CMD x|" },
		{ "\xef\xbb\xbf"
		  "CMD x",
		  "CMD x|" },
		{ "\xc2\xa0"
		  "CMD x",
		  "CMD x|" },
		{ "CMD a \\\n  b", "CMD a   b|" },
		{ "CMD a \\\r\n  b\r\n", "CMD a   b|" },
		{ "CMD a \\  \t\n b", "CMD a  b|" },
		{ "CMD a \\\n# no\n\n   # no\nb", "CMD a b|!" },
		{ "CMD a \\\n# no\nb", "CMD a b|" },
		{ "CMD a # b", "CMD a # b|" },
		{ "CMD a \\", "CMD a |" },
		{ "CMD a \\\n", "CMD a |" },
		{ "CMD a \\\n# end", "CMD a |" },
		{ "CMD a\\\\\nUSER b", "CMD a\\\\|USER b|" },
		{ "CMD a\\\\\\\nUSER b", "CMD a\\\\\\|USER b|" },
		{ "\\\nCMD a", "CMD a|" },
		{ "CMD a \\\n b \\\n c\nUSER d", "CMD a  b  c|USER d|" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(buf_free) struct buf all = BUF_INIT(4096);

		lines_in(rows[i].text, &all);
		check_row(rows[i].lines, buf_text(&all), rows[i].text);
	}
}

static void directives(void **state)
{
	static const struct row rows[] = {
		{ "# escape=`\nCMD a`\nb\\\nUSER x", "CMD ab\\|USER x|" },
		{ "#escape = ` \nCMD a`\nb", "CMD ab|" },
		{ "# EsCaPe=`\nCMD a`\nb", "CMD ab|" },
		{ "# syntax=x\n# escape=`\nCMD a`\nb", "CMD ab|" },
		{ "# check=skip=all\n# escape=`\nCMD a`\nb", "CMD ab|" },
		{ "# escape=\\\nCMD a\\\nb", "CMD ab|" },
		/* Not there any more: */
		{ "\n# escape=`\nCMD a`\nUSER b", "CMD a`|USER b|" },
		{ "# a comment\n# escape=`\nCMD a`\nUSER b", "CMD a`|USER b|" },
		{ "# unknown=1\n# escape=`\nCMD a`\nUSER b", "CMD a`|USER b|" },
		{ "CMD x\n# escape=`\nCMD a`\nUSER b", "CMD x|CMD a`|USER b|" },
		{ "#! /bin/x\n# escape=`\nCMD a`\nUSER b", "CMD a`|USER b|" },
		/* Wrong: */
		{ "# escape=x\nCMD a", "1: invalid escape token 'x' does not match ` or \\" },
		{ "# escape=``\nCMD a", "1: invalid escape token '``' does not match ` or \\" },
		{ "# escape=`\n# escape=`\nCMD a", "2: only one escape parser directive can be used" },
		{ "# syntax=a\n# Syntax=b\nCMD a", "2: only one syntax parser directive can be used" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(buf_free) struct buf all = BUF_INIT(4096);

		lines_in(rows[i].text, &all);
		check_row(rows[i].lines, buf_text(&all), rows[i].text);
	}
}

static void directives_of_a_file_are_found(void **state)
{
	static const struct {
		const char *text, *value;
		int line;
	} rows[] = {
		{ "# syntax=docker/dockerfile:1\nFROM x", "docker/dockerfile:1", 1 },
		{ "#syntax = a b\n", "a", 1 },
		{ "# escape=`\n# syntax=a\n", "a", 2 },
		{ "#!/usr/bin/env build\n# syntax=a\n", "a", 2 },
		{ "// syntax=a\n", "a", 1 },
		{ "{ \"syntax\": \"a\" }", "a", 1 },
		{ "\xef\xbb\xbf# syntax=a\n", "a", 1 },
		{ "\n# syntax=a\n", NULL, 0 },
		{ "FROM x\n# syntax=a\n", NULL, 0 },
		{ "", NULL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(arena_free) struct arena a;
		struct bytes value;
		int line = 0;

		arena_init(&a, 4096);
		assert_int_equal(directive_find(bytes_of(rows[i].text), DIRECTIVE_SYNTAX, &a, &value, &line),
				 rows[i].value != NULL);
		if (rows[i].value && (!bytes_are(value, rows[i].value) || line != rows[i].line))
			check_row(rows[i].value, "another one", rows[i].text);
	}
}

static void line_numbers_are_those_of_the_text(void **state)
{
	CLEANUP(arena_free) struct arena a;
	struct lines l = lines_of(bytes_of("# a\n\nCMD a \\\n b\n\nUSER c"));
	struct line line;

	(void)state;
	arena_init(&a, 4096);
	assert_int_equal(lines_next(&l, &a, &line, NULL), 1);
	assert_int_equal(line.first, 3);
	assert_int_equal(line.last, 4);
	assert_int_equal(lines_next(&l, &a, &line, NULL), 1);
	assert_int_equal(line.first, 6);
	assert_int_equal(lines_next(&l, &a, &line, NULL), 0);
}

/* An empty comment parts them from the instruction, an empty line does not. */
static void comments_go_to_the_instruction_below(void **state)
{
	CLEANUP(arena_free) struct arena a;
	struct lines l = lines_of(bytes_of("# syntax=x\n# one\n#\n# two\n\n#three\nCMD a\nUSER c"));
	struct line line;

	(void)state;
	arena_init(&a, 4096);
	assert_int_equal(lines_next(&l, &a, &line, NULL), 1);
	assert_int_equal(line.comments.n, 2);
	assert_true(bytes_are(line.comments.items[0], "two"));
	assert_true(bytes_are(line.comments.items[1], "three"));
	assert_int_equal(lines_next(&l, &a, &line, NULL), 1);
	assert_int_equal(line.comments.n, 0);
}

static void full_arena_is_seen(void **state)
{
	CLEANUP(arena_free) struct arena a;
	struct lines l = lines_of(bytes_of("CMD a \\\n long"));
	struct line line;

	(void)state;
	arena_init(&a, 4);
	assert_int_equal(lines_next(&l, &a, &line, NULL), E_NO_MEMORY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_joined_and_comments_dropped),
		cmocka_unit_test(directives),
		cmocka_unit_test(directives_of_a_file_are_found),
		cmocka_unit_test(line_numbers_are_those_of_the_text),
		cmocka_unit_test(comments_go_to_the_instruction_below),
		cmocka_unit_test(full_arena_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

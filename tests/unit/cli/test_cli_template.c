/* The template language: what it prints, what it refuses and with which words. */
#include "cli_test.h"

#include "client/cli/value/print.h"

static struct arena arena;

#define LIST(type, ...)                                                                       \
	__extension__({                                                                       \
		struct value items_[] = { __VA_ARGS__ };                                      \
		struct value *copy_ = arena_array(&arena, ARRAY_LEN(items_), sizeof *items_); \
		memcpy(copy_, items_, sizeof items_);                                         \
		value_list(type, copy_, ARRAY_LEN(items_));                                   \
	})
#define MAP(type, ...)                                                                             \
	__extension__({                                                                            \
		struct value_pair pairs_[] = { __VA_ARGS__ };                                      \
		struct value_pair *copy_ = arena_array(&arena, ARRAY_LEN(pairs_), sizeof *pairs_); \
		memcpy(copy_, pairs_, sizeof pairs_);                                              \
		value_map(type, copy_, ARRAY_LEN(pairs_));                                         \
	})
#define PAIR(key, v)                       \
	{                                  \
		{ key, sizeof key - 1 }, v \
	}

static const struct value_field row_fields[] = {
	{ .name = "Repository", .method = true },
	{ .name = "Tag", .method = true },
	{ .name = "ID", .method = true },
};
static const struct value_type type_row = {
	.name = "formatter.imageContext",
	.kind = VALUE_STRUCT,
	.fields = row_fields,
	.n_fields = ARRAY_LEN(row_fields),
	.json_marshals_escaped = true,
};

static struct value row(void)
{
	static struct value fields[3];

	fields[0] = value_string("ubuntu");
	fields[1] = value_string("22.04");
	fields[2] = value_string("9f9f65a3d2d7");
	return value_pointer_to(value_struct(&type_row, fields));
}

static struct value number(const char *text)
{
	struct value v = value_string(text);

	v.type = &type_number;
	return v;
}

static struct value raw(void)
{
	struct value env = LIST(&type_any_list, value_string("X=<1>"));
	struct value tags = LIST(&type_any_list, value_string("a"), value_string("b"));
	struct value config = MAP(&type_any_map, PAIR("Env", env));

	return MAP(&type_any_map, PAIR("Id", value_string("sha256:abc")), PAIR("Size", number("42")),
		   PAIR("Tags", tags), PAIR("Nothing", ((struct value){ .kind = VALUE_NIL })), PAIR("Config", config));
}

struct sample {
	const char *text, *output;
};

/* Runs one and compares the output, or "error: …". */
static void check(const struct sample *s, struct value dot, bool missing_key_error)
{
	struct template_options options = { .missing_key_error = missing_key_error };
	CLEANUP(template_freep) struct template *t = NULL;
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	struct err err = ERR_INIT;
	int r = template_parse(text_of(s->text), &t, &err);

	if (!r)
		r = template_execute(t, &options, dot, &out, &err);
	if (r) {
		char text[ERR_TEXT_MAX + 16];

		assert_int_equal(err.code, E_TEMPLATE);
		snprintf(text, sizeof text, "error: %s", err.text);
		assert_string_equal(text, s->output);
	} else {
		assert_string_equal(buf_text(&out), s->output);
	}
}

static void check_all(const struct sample *samples, size_t n, struct value dot, bool missing_key_error)
{
	for (size_t i = 0; i < n; i++) {
		print_message("%s\n", samples[i].text);
		check(&samples[i], dot, missing_key_error);
	}
}

static void template_prints_fields_and_calls_functions(UNUSED void **state)
{
	static const struct sample samples[] = {
		{ "{{.Tag}}", "22.04" },
		{ "{{upper .Repository}}|{{title .Repository}}|{{lower \"ABC\"}}", "UBUNTU|Ubuntu|abc" },
		{ "{{truncate .ID 5}}|{{truncate .Tag 99}}|{{truncate .ID 0}}", "9f9f6|22.04|" },
		{ "{{pad .Tag 1 2}}|{{pad \"\" 1 2}}|", " 22.04  ||" },
		{ "{{split .Tag \".\"}}|{{join (split .Tag \".\") \"/\"}}|{{index (split .ID \"\") 0}}",
		  "[22 04]|22/04|9" },
		{ "{{json .Tag}} {{json .}}",
		  "\"22.04\" {\"Repository\":\"ubuntu\",\"Tag\":\"22.04\",\"ID\":\"9f9f65a3d2d7\"}" },
		{ "{{json \"<&>\"}}", "\"<&>\"" },
		{ "{{len .ID}} {{slice .ID 0 4}} {{slice .ID 8}} {{index .ID 0}}", "12 9f9f d2d7 57" },
		{ "{{and .Tag .ID}} {{or \"\" .Tag}} {{not .Tag}} {{and \"\" .Tag}}|", "9f9f65a3d2d7 22.04 false |" },
		{ "{{lt 1 2}} {{le 2 2}} {{gt \"b\" \"a\"}} {{ge 1.5 2.5}} {{ne .Tag \"x\"}} {{eq .Tag \"x\" "
		  "\"22.04\"}}",
		  "true true true false true true" },
		{ "{{print .ID .Tag}}|{{print 1 2}}|{{print \"a\" 1 \"b\"}}|{{println 1}}",
		  "9f9f65a3d2d722.04|1 2|a1b|1\n" },
		{ "{{html \"<&'>\"}} {{js \"<'>\"}} {{urlquery \"a b/ü\"}}",
		  "&lt;&amp;&#39;&gt; \\u003C\\'\\u003E a+b%2F%C3%BC" },
		{ "{{.Tag | upper | printf \"%s-%s\" \"p\"}}", "p-22.04" },
		{ "{{printf \"%-12s|%q|%v|%.3s|%x|%5.1f|%d|%t|%%|%c|%U\" .Tag .Tag 1 .ID .Tag 3.14159 42 true 65 "
		  "8230}}",
		  "22.04       |\"22.04\"|1|9f9|32322e3034|  3.1|42|true|%|A|U+2026" },
	};

	check_all(samples, ARRAY_LEN(samples), row(), false);
}

static void template_controls_the_flow(UNUSED void **state)
{
	static const struct sample samples[] = {
		{ "{{if eq .Tag \"x\"}}A{{else if eq .Tag \"22.04\"}}B{{else}}C{{end}}", "B" },
		{ "{{with .Tag}}[{{.}}]{{else}}none{{end}}", "[22.04]" },
		{ "{{with \"\"}}a{{else with .Tag}}<{{.}}>{{else}}c{{end}}", "<22.04>" },
		{ "{{range $i, $e := split .Tag \".\"}}{{if $i}},{{end}}{{$i}}={{$e}}{{else}}none{{end}}",
		  "0=22,1=04" },
		{ "{{range split \"a.b.c\" \".\"}}{{if eq . \"b\"}}{{break}}{{end}}{{.}}{{end}}", "a" },
		{ "{{range split \"a.b.c\" \".\"}}{{if eq . \"b\"}}{{continue}}{{end}}{{.}}{{end}}", "ac" },
		{ "{{range 3}}{{.}}{{end}}{{range 0}}x{{else}}none{{end}}", "012none" },
		{ "{{$x := .Tag}}{{$x}} {{$x = \"y\"}}{{$x}}", "22.04 y" },
		{ "{{$x := 1}}{{if true}}{{$x = 2}}{{$y := 3}}{{end}}{{$x}}", "2" },
		{ "a {{- .Tag -}} b {{- /* c */ -}} c", "a22.04bc" },
		{ "{{define \"T\"}}<{{.}}>{{end}}{{template \"T\" .Tag}}", "<22.04>" },
		{ "{{block \"B\" .}}{{.Tag}}{{end}}{{template \"B\" .}}", "22.0422.04" },
		{ "{{.Tag | }}", "22.04" },
		{ "{{`raw\n`}}{{\"a\\tb\"}}{{'c'}}", "raw\na\tb99" },
		{ "{{0x10}} {{1e3}} {{017}} {{1_000}} {{-5}} {{2i}}", "16 1000 15 1000 -5 (0+2i)" },
	};

	check_all(samples, ARRAY_LEN(samples), row(), false);
}

static void template_words_parse_errors_as_go_does(UNUSED void **state)
{
	static const struct sample samples[] = {
		{ "{{.Tag", "error: template: :1: unclosed action" },
		{ "{{if .Tag}}x", "error: template: :1: unexpected EOF" },
		{ "{{end}}", "error: template: :1: unexpected {{end}}" },
		{ "{{}}", "error: template: :1: missing value for command" },
		{ "{{\"abc}}", "error: template: :1: unterminated quoted string" },
		{ "{{ @ }}", "error: template: :1: unexpected \"@\" in command" },
		{ "{{\"a\"b\"}}", "error: template: :1: bad character U+0022 '\"'" },
		{ "{{nofunc .Tag}}", "error: template: :1: function \"nofunc\" not defined" },
		{ "{{$x}}", "error: template: :1: undefined variable \"$x\"" },
		{ "{{(1}}", "error: template: :1: unclosed left paren" },
		{ "{{)}}", "error: template: :1: unexpected right paren" },
		{ "{{/* c}}", "error: template: :1: unclosed comment" },
		{ "{{break}}", "error: template: :1: {{break}} outside {{range}}" },
		{ "{{1 | 2}}", "error: template: :1: non executable command in pipeline stage 2" },
		{ "a\n{{.Tag\n}}{{if}}", "error: template: :3: missing value for if" },
		{ "{{'ab'}}", "error: template: :1: malformed character constant: 'ab'" },
		{ "{{99999999999999999999}}", "error: template: :1: integer overflow: \"99999999999999999999\"" },
		{ "{{define \"a\"}}x{{end}}{{define \"a\"}}y{{end}}",
		  "error: template: :1: template: multiple definition of template \"a\"" },
	};

	check_all(samples, ARRAY_LEN(samples), row(), false);
}

static void template_words_execution_errors_as_go_does(UNUSED void **state)
{
	static const struct sample samples[] = {
		{ "{{.Nope}}", "error: template: :1:2: executing \"\" at <.Nope>: can't evaluate field Nope in type "
			       "*formatter.imageContext" },
		{ "{{.Tag.Foo}}",
		  "error: template: :1:6: executing \"\" at <.Tag.Foo>: can't evaluate field Foo in type string" },
		{ "{{upper 1}}", "error: template: :1:8: executing \"\" at <1>: expected string; found 1" },
		{ "{{upper}}",
		  "error: template: :1:2: executing \"\" at <upper>: wrong number of args for upper: want 1 got 0" },
		{ "{{index .Tag 99}}", "error: template: :1:2: executing \"\" at <index .Tag 99>: error calling index: "
				       "index out of range: 99" },
		{ "{{call .Tag}}", "error: template: :1:2: executing \"\" at <call .Tag>: error calling call: "
				   "non-function .Tag of type string" },
		{ "{{lt 1 \"a\"}}", "error: template: :1:2: executing \"\" at <lt 1 \"a\">: error calling lt: "
				    "incompatible types for comparison" },
		{ "{{template \"x\"}}",
		  "error: template: :1:11: executing \"\" at <{{template \"x\"}}>: template \"x\" not defined" },
		{ "{{range .Tag}}{{end}}",
		  "error: template: :1:8: executing \"\" at <.Tag>: range can't iterate over 22.04" },
		{ "{{.Tag 1}}",
		  "error: template: :1:2: executing \"\" at <.Tag>: wrong number of args for Tag: want 0 got 1" },
		{ "{{truncate .Tag -1}}", "error: template: :1:2: executing \"\" at <truncate .Tag -1>: error calling "
					  "truncate: runtime error: slice bounds out of range [:-1]" },
	};

	check_all(samples, ARRAY_LEN(samples), row(), false);
}

static void template_reads_raw_json_as_go_does(UNUSED void **state)
{
	static const struct sample samples[] = {
		{ "{{.Id}} {{.Size}} {{printf \"%T %T\" .Size .Tags}}", "sha256:abc 42 json.Number []interface {}" },
		{ "{{.Nope}}", "error: template: :1:2: executing \"\" at <.Nope>: map has no entry for key \"Nope\"" },
		{ "{{gt .Size 5}}", "error: template: :1:2: executing \"\" at <gt .Size 5>: error calling gt: "
				    "incompatible types for comparison" },
		{ "{{join .Tags \",\"}}", "error: template: :1:7: executing \"\" at <.Tags>: wrong type for value; "
					  "expected []string; got []interface {}" },
		{ "{{.Id.x}}",
		  "error: template: :1:5: executing \"\" at <.Id.x>: can't evaluate field x in type interface {}" },
		{ "{{.Nothing}}|{{with .Nothing}}x{{else}}nil{{end}}|{{json .Nothing}}", "<no value>|nil|null" },
		{ "{{range $k, $v := .Config}}{{$k}}={{$v}};{{end}}", "Env=[X=<1>];" },
		{ "{{json .Config}}", "{\"Env\":[\"X=<1>\"]}" },
		{ "{{index .Config \"nope\"}}", "<no value>" },
		{ "{{.Size.Int64}}", "42" },
	};

	check_all(samples, ARRAY_LEN(samples), raw(), true);
}

static void template_gives_no_value_for_a_missing_key(UNUSED void **state)
{
	static const struct sample samples[] = {
		{ "{{.Nope}}|{{.Nope.Deeper}}", "<no value>|<no value>" },
		{ "{{if .Nope}}a{{else}}b{{end}}", "b" },
	};

	check_all(samples, ARRAY_LEN(samples), raw(), false);
}

static void template_header_functions_give_the_name_back(UNUSED void **state)
{
	static const char text[] = "{{lower .Tag}}|{{json .Tag}}|{{truncate .Tag 1}}|{{join (split .Tag \".\") \"-\"}}|"
				   "{{pad .Tag 1 1}}|{{.Foo}}";
	static const struct template_options options = { .mode = TEMPLATE_HEADER };
	static const struct value_type type_header = { .name = "map", .kind = VALUE_MAP, .elem = &type_string };
	struct value header = MAP(&type_header, PAIR("Tag", value_string("TAG")));
	CLEANUP(template_freep) struct template *t = NULL;
	CLEANUP(buf_free) struct buf out = BUF_INIT(4096);

	assert_int_equal(template_parse(text_of(text), &t, NULL), OK);
	assert_int_equal(template_execute(t, &options, header, &out, NULL), OK);
	assert_string_equal(buf_text(&out), "TAG|TAG|TAG|TAG| TAG |<no value>");
}

static void template_keeps_what_came_before_an_error(UNUSED void **state)
{
	static const struct template_options options;
	CLEANUP(template_freep) struct template *t = NULL;
	CLEANUP(buf_free) struct buf out = BUF_INIT(4096);

	assert_int_equal(template_parse(text_of("a{{.Tag}}{{.Nope}}"), &t, NULL), OK);
	assert_int_equal(template_execute(t, &options, row(), &out, NULL), E_TEMPLATE);
	assert_string_equal(buf_text(&out), "a22.04");
}

/* ---- bounds --------------------------------------------------------------- */

static void template_bounds_nesting(UNUSED void **state)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(TEMPLATE_TEXT_MAX);
	CLEANUP(template_freep) struct template *t = NULL;
	struct err err = ERR_INIT;

	for (int i = 0; i < 20000; i++)
		buf_puts(&text, i ? "(" : "{{");
	assert_int_equal(template_parse((struct text){ buf_text(&text), text.len }, &t, &err), E_TEMPLATE);
	assert_string_equal(err.text, "template: :1: template nests too deeply");
	buf_reset(&text);
	for (int i = 0; i < 5000; i++)
		buf_puts(&text, "{{if 1}}");
	assert_int_equal(template_parse((struct text){ buf_text(&text), text.len }, &t, &err), E_TEMPLATE);
}

static void template_bounds_recursion(UNUSED void **state)
{
	static const struct sample samples[] = {
		{ "{{define \"T\"}}{{template \"T\" .}}{{end}}{{template \"T\" .}}",
		  "error: template: :1:25: executing \"T\" at <{{template \"T\" .}}>: exceeded maximum template depth "
		  "(1000)" },
		{ "{{define \"T\"}}{{if .}}{{with .}}{{if .}}{{template \"T\" .}}{{end}}{{end}}{{end}}{{end}}"
		  "{{template \"T\" .}}",
		  "error: template: :1:37: executing \"T\" at <.>: exceeded maximum template depth (1000)" },
	};

	check_all(samples, ARRAY_LEN(samples), row(), false);
}

/* What deep calls leave undone is nothing: this goes through 300 of them. */
static void template_calls_itself_as_deep_as_data_goes(UNUSED void **state)
{
	static const struct sample sample = {
		"{{define \"T\"}}{{if .}}{{template \"T\" (slice . 1)}}x{{end}}{{end}}"
		"{{template \"T\" (split (printf \"%300s\" \"\") \"\")}}",
		NULL,
	};
	CLEANUP(template_freep) struct template *t = NULL;
	CLEANUP(buf_free) struct buf out = BUF_INIT(4096);
	static const struct template_options options;

	assert_int_equal(template_parse(text_of(sample.text), &t, NULL), OK);
	assert_int_equal(template_execute(t, &options, row(), &out, NULL), OK);
	assert_int_equal(out.len, 300);
}

/* Go's package fmt, checked against docker's output. */
static void template_printf_knows_every_verb(UNUSED void **state)
{
	static const struct sample samples[] = {
		{ "{{printf \"%f|%08.2f|%+f|%G|%x|%X|%b\" 1.5 1.5 1.5 1e-10 1.5 1.5 1.5}}",
		  "1.500000|00001.50|+1.500000|1E-10|0x1.8p+00|0X1.8P+00|6755399441055744p-52" },
		{ "{{printf \"%#g|%#.3g|%#v|%#e|%#.0f|%.0f|%#x\" 1.5 1.5 1.5 1.5 1.5 1.5 1.5}}",
		  "1.50000|1.50|1.5|1.500000e+00|2.|2|0x1.8000p+00" },
		{ "{{printf \"%v|%+v|%#v\" 1 1 1}} {{printf \"%+v|%#v|%#q\" \"a\" \"a\" \"a\"}}", "1|1|1 a|\"a\"|`a`" },
		{ "{{printf \"%#v|%+v\" (split \"a,b\" \",\") 1i}}", "[]string{\"a\", \"b\"}|(0+1i)" },
		{ "{{printf \"%05t|%05s|%-05d|\" true \"ab\" 42}}", "0true|000ab|42   |" },
		{ "{{printf \"%[2]d %[1]d %d\" 1 2}}|{{printf \"%[3]d\" 1 2}}|{{printf \"%*d\" 5 42}}",
		  "2 1 2|%!d(BADINDEX)|   42" },
		{ "{{printf \"%d\"}}|{{printf \"%d\" \"a\"}}|{{printf \"a\" 1}}|{{printf \"%\"}}",
		  "%!d(MISSING)|%!d(string=a)|a%!(EXTRA int=1)|%!(NOVERB)" },
		{ "{{printf \"%10000010d\" 1}}|{{len (printf \"%1000001d\" 1)}}|{{len (printf \"%.2000f\" 0.1)}}",
		  "%!(NOVERB)%!(EXTRA int=1)|1000001|2002" },
		{ "{{1_0.5}} {{0x_1p4}} {{title \"ǆ\"}} {{call 1}}",
		  "error: template: :1:38: executing \"\" at <call 1>: error calling call: non-function 1 of type "
		  "int" },
		{ "{{1 | call}}", "error: template: :1:6: executing \"\" at <call>: error calling call: "
				  "non-function <int Value> of type int" },
		{ "{{1_0.5}} {{0x_1p4}} {{title \"ǆ\"}}", "10.5 16 ǅ" },
		{ "{{1_e5}}", "error: template: :1: illegal number syntax: \"1_e5\"" },
	};

	check_all(samples, ARRAY_LEN(samples), row(), false);
}

static void template_bounds_steps_and_memory(UNUSED void **state)
{
	static const char *const endless[] = {
		"{{range 9000000000000000000}}{{end}}",
		"{{range 100000}}{{range 100000}}{{end}}{{end}}",
		"{{$x := \"aaaaaaaaaaaaaaaa\"}}{{range 40}}{{$x = printf \"%s%s\" $x $x}}{{end}}",
		"{{pad \"a\" 999999999 999999999}}",
		"{{range 9000000000000000000}}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{{end}}",
	};
	static const struct template_options options;

	for (size_t i = 0; i < ARRAY_LEN(endless); i++) {
		CLEANUP(template_freep) struct template *t = NULL;
		CLEANUP(buf_free) struct buf out = BUF_INIT(1024 * 1024);

		assert_int_equal(template_parse(text_of(endless[i]), &t, NULL), OK);
		assert_int_equal(template_execute(t, &options, row(), &out, NULL), E_TEMPLATE);
	}
}

static void template_refuses_a_huge_text(UNUSED void **state)
{
	CLEANUP(freep) char *text = malloc(TEMPLATE_TEXT_MAX + 1);
	struct template *t = NULL;
	struct err err = ERR_INIT;

	memset(text, 'a', TEMPLATE_TEXT_MAX + 1);
	assert_int_equal(template_parse((struct text){ text, TEMPLATE_TEXT_MAX + 1 }, &t, &err), E_TEMPLATE);
	assert_null(t);
}

static int set_up(UNUSED void **state)
{
	arena_init(&arena, 1024 * 1024);
	return 0;
}

static int tear_down(UNUSED void **state)
{
	arena_free(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(template_prints_fields_and_calls_functions),
		cmocka_unit_test(template_controls_the_flow),
		cmocka_unit_test(template_words_parse_errors_as_go_does),
		cmocka_unit_test(template_words_execution_errors_as_go_does),
		cmocka_unit_test(template_reads_raw_json_as_go_does),
		cmocka_unit_test(template_gives_no_value_for_a_missing_key),
		cmocka_unit_test(template_header_functions_give_the_name_back),
		cmocka_unit_test(template_keeps_what_came_before_an_error),
		cmocka_unit_test(template_bounds_nesting),
		cmocka_unit_test(template_bounds_recursion),
		cmocka_unit_test(template_calls_itself_as_deep_as_data_goes),
		cmocka_unit_test(template_printf_knows_every_verb),
		cmocka_unit_test(template_bounds_steps_and_memory),
		cmocka_unit_test(template_refuses_a_huge_text),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* Sizes, ages, cut texts, tables, widths, times and JSON as docker prints them. */
#include "cli_test.h"

#include "client/cli/format/gotime.h"
#include "client/cli/format/rows.h"
#include "client/cli/format/table.h"
#include "client/cli/format/units.h"
#include "client/cli/format/width.h"
#include "client/cli/value/json.h"
#include "client/cli/value/print.h"

static void sizes_have_three_or_four_digits(UNUSED void **state)
{
	static const struct {
		double bytes;
		const char *three, *four;
	} cases[] = {
		{ 0, "0B", "0B" },
		{ 1234, "1.23kB", "1.234kB" },
		{ 65593591, "65.6MB", "65.59MB" },
		{ 999500, "1e+03kB", "999.5kB" },
		{ 272e6, "272MB", "272MB" },
		{ 1e18, "1EB", "1EB" },
	};
	char text[SIZE_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_string_equal(size_text(cases[i].bytes, 3, text), cases[i].three);
		assert_string_equal(size_text(cases[i].bytes, 4, text), cases[i].four);
	}
}

static void sizes_agree_with_docker(UNUSED void **state)
{
	CLEANUP(freep) char *text = golden("00-library.txt");
	char *save = NULL, *line;
	int n = 0;

	if (!text)
		return;
	line = strtok_r(section(text, "# go-units sizes"), "\n", &save);
	for (; line; line = strtok_r(NULL, "\n", &save), n++) {
		char three[64], four[64], ours[SIZE_TEXT_MAX];
		double bytes;

		assert_int_equal(sscanf(line, "%lf | %63s | %63s", &bytes, three, four), 3);
		assert_string_equal(size_text(bytes, 3, ours), three);
		assert_string_equal(size_text(bytes, 4, ours), four);
	}
	assert_true(n > 40);
}

static void ages_agree_with_docker(UNUSED void **state)
{
	CLEANUP(freep) char *text = golden("00-library.txt");
	char *save = NULL, *line;
	int n = 0;

	if (!text)
		return;
	line = strtok_r(section(text, "# go-units HumanDuration"), "\n", &save);
	for (; line; line = strtok_r(NULL, "\n", &save), n++) {
		char ours[AGE_TEXT_MAX];
		double seconds = strtod(line, NULL);

		/* The list shows seconds with one digit: what lies on an edge was rounded. */
		if (!strncmp(line, "1.0 | Less", 10))
			continue;
		assert_string_equal(age_text((int64_t)(seconds * 1e9), ours), strstr(line, "| ") + 2);
	}
	assert_true(n > 40);
}

static void ages_end_at_292_years(UNUSED void **state)
{
	char text[AGE_TEXT_MAX];

	assert_string_equal(age_since(TIME_ZERO, 0, text), "292 years ago");
	assert_string_equal(age_since(INT64_MAX, 0, text), "Less than a second ago");
	/* Beyond 2038. */
	assert_string_equal(age_since(INT64_C(4102444800), INT64_C(4102448400) * 1000000000, text),
			    "About an hour ago");
}

static void ellipsis_agrees_with_docker(UNUSED void **state)
{
	CLEANUP(freep) char *text = golden("00-library.txt");
	char *save = NULL, *line;
	int n = 0;

	if (!text)
		return;
	line = strtok_r(section(text, "# formatter.Ellipsis"), "\n", &save);
	for (; line; line = strtok_r(NULL, "\n", &save), n++) {
		CLEANUP(buf_free) struct buf ours = BUF_INIT(1024);
		char *in = line + 1, *end = strstr(in, "\" "), *want = strstr(end, "-> \"") + 4;

		want[strlen(want) - 1] = 0;
		*end = 0;
		ellipsis(&ours, text_of(in), (int)strtol(end + 2, NULL, 10));
		assert_string_equal(buf_text(&ours), want);
	}
	assert_true(n > 20);
}

/* "\t" and "\n" of the recording. */
static char *unescape(char *text)
{
	char *to = text, *from = text;

	for (; *from; from++) {
		if (*from == '\\' && (from[1] == 't' || from[1] == 'n'))
			*to++ = *++from == 't' ? '\t' : '\n';
		else
			*to++ = *from;
	}
	*to = 0;
	return text;
}

static void tables_agree_with_docker(UNUSED void **state)
{
	CLEANUP(freep) char *text = golden("00-library.txt");
	char *p, *end;
	int n = 0;

	if (!text)
		return;
	p = strstr(text, "# tabwriter");
	end = strstr(p, "\n# reference");
	while ((p = strstr(p, "in \"")) && p < end) {
		CLEANUP(buf_free) struct buf ours = BUF_INIT(4096);
		char *in = p + 4, *quote = strstr(in, "\"\n"), *want = quote + 2, *stop = strstr(want, "--\n");

		*quote = *stop = 0;
		assert_int_equal(table_render(text_of(unescape(in)), false, &ours, NULL), OK);
		assert_string_equal(buf_text(&ours), want);
		p = stop + 1;
		n++;
	}
	assert_true(n >= 11);
}

static void tables_widen_ambiguous_characters_in_cjk_locales(UNUSED void **state)
{
	static const char in[] = "A\tB\nabcdefgh…\tx\n";
	CLEANUP(buf_free) struct buf narrow = BUF_INIT(256);
	CLEANUP(buf_free) struct buf wide = BUF_INIT(256);

	table_render(text_of(in), false, &narrow, NULL);
	table_render(text_of(in), true, &wide, NULL);
	assert_string_equal(buf_text(&narrow), "A           B\nabcdefgh…   x\n");
	assert_string_equal(buf_text(&wide), "A            B\nabcdefgh…   x\n");
}

static void tables_bound_their_columns(UNUSED void **state)
{
	CLEANUP(buf_free) struct buf in = BUF_INIT(1024 * 1024);
	CLEANUP(buf_free) struct buf out = BUF_INIT(16 * 1024 * 1024);

	for (int i = 0; i < 100000; i++)
		buf_putc(&in, '\t');
	assert_int_equal(table_render((struct text){ buf_text(&in), in.len }, false, &out, NULL), OK);
}

static void width_counts_cells(UNUSED void **state)
{
	static const struct {
		const char *text;
		size_t narrow, wide;
	} cases[] = {
		{ "abc", 3, 3 },       { "中文", 4, 4 }, { "é", 1, 2 },
		{ "e\xCC\x81", 1, 1 }, { "🐳", 2, 2 },	 { "👨‍👩‍👧", 2, 2 },
		{ "🇩🇪", 1, 1 },	       { "…", 1, 2 },	 { "\xff", 1, 2 },
		{ "", 0, 0 },	       { "ﾊﾝ", 2, 2 },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("%s\n", cases[i].text);
		assert_int_equal(width_of(cases[i].text, strlen(cases[i].text), false), cases[i].narrow);
		if (strcmp(cases[i].text, "é") != 0)
			assert_int_equal(width_of(cases[i].text, strlen(cases[i].text), true), cases[i].wide);
	}
}

static void locale_decides_on_ambiguous_width(UNUSED void **state)
{
	static const struct {
		const char *all, *force;
		bool east_asian;
	} cases[] = {
		{ "zh_CN.UTF-8", "", true },   { "ja_JP.UTF-8", "", true }, { "ko_KR.utf8", "", true },
		{ "en_US.UTF-8", "", false },  { "C.UTF-8", "", false },    { "zh_CN", "", false },
		{ "zh_CN.GBK", "", true },     { "POSIX", "", false },	    { "en_US.UTF-8", "1", true },
		{ "zh_CN.UTF-8", "0", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		setenv("LC_ALL", cases[i].all, 1);
		setenv("RUNEWIDTH_EASTASIAN", cases[i].force, 1);
		assert_int_equal(width_is_east_asian(), cases[i].east_asian);
	}
	unsetenv("RUNEWIDTH_EASTASIAN");
	setenv("LC_ALL", "", 1);
	setenv("LC_CTYPE", "", 1);
	setenv("LANG", "zh_CN.UTF-8", 1);
	assert_true(width_is_east_asian());
	setenv("LANG", "C", 1);
}

static void times_print_as_go_does(UNUSED void **state)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(1024);

	setenv("TZ", "Asia/Shanghai", 1);
	tzset();
	time_text_local(&out, 1634262465);
	buf_putc(&out, '|');
	time_text_go(&out, 1634262465, 0, false);
	setenv("TZ", "UTC", 1);
	tzset();
	buf_putc(&out, '|');
	time_text_local(&out, 1634262465);
	buf_putc(&out, '|');
	time_text_go(&out, TIME_ZERO, 0, false);
	buf_putc(&out, '|');
	time_text_utc(&out, 1634348865, 875971790);
	assert_string_equal(buf_text(&out), "2021-10-15T09:47:45+08:00|2021-10-15 09:47:45 +0800 CST|"
					    "2021-10-15T01:47:45Z|0001-01-01 00:00:00 +0000 UTC|"
					    "2021-10-16T01:47:45.87597179Z");
}

static void durations_print_and_parse_as_go_does(UNUSED void **state)
{
	static const struct {
		const char *text, *printed;
	} good[] = {
		{ "24h", "24h0m0s" },	       { "1.5h", "1h30m0s" }, { "90s", "1m30s" }, { "-1m", "-1m0s" },
		{ "1h2m3s4ms", "1h2m3.004s" }, { "1500us", "1.5ms" }, { "0", "0s" },	  { "5ns", "5ns" },
	};
	static const char *const bad[] = { "", "h", "1", "1x", "1h-", "--1h", "1e400h", "yesterday" };
	int64_t nanos;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		CLEANUP(buf_free) struct buf out = BUF_INIT(64);

		assert_true(duration_parse(good[i].text, &nanos));
		duration_text(&out, nanos);
		assert_string_equal(buf_text(&out), good[i].printed);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(duration_parse(bad[i], &nanos));
}

static void until_takes_times_and_durations(UNUSED void **state)
{
	static const struct {
		const char *text;
		int64_t seconds;
		int32_t nanos;
	} good[] = {
		{ "2021-10-16T01:47:45Z", 1634348865, 0 },
		{ "2021-10-16T01:47:45.5+08:00", 1634320065, 500000000 },
		{ "2021-10-16T01:47:45", 1634348865, 0 },
		{ "2021-10-16", 1634342400, 0 },
		{ "1634348865", 1634348865, 0 },
		{ "1634348865.25", 1634348865, 250000000 },
		{ "1h", 1000000 - 3600, 0 },
		{ "2100-01-01", 4102444800, 0 },
	};
	static const char *const bad[] = { "", "whenever", "2021-13-01", "2021-10-32", "2021-10-16T25:00", "12:30" };
	struct err err = ERR_INIT;
	int64_t seconds;
	int32_t nanos;

	setenv("TZ", "UTC", 1);
	tzset();
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(time_parse_filter(good[i].text, INT64_C(1000000000000000), &seconds, &nanos, &err),
				 OK);
		assert_int_equal(seconds, good[i].seconds);
		assert_int_equal(nanos, good[i].nanos);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(time_parse_filter(bad[i], 0, &seconds, &nanos, &err), E_INVALID);
	assert_string_equal(err.text, "failed to parse value as time or duration: \"12:30\"");
}

/* ---- printf and JSON ------------------------------------------------------ */

static void printf_follows_go(UNUSED void **state)
{
	const struct value strings[] = { value_string("a"), value_string("b") };
	const struct value args[] = { value_int(42),
				      value_string("hé"),
				      value_float(3.14159),
				      value_bool(true),
				      value_list(&type_strings, strings, 2),
				      value_duration(90000000000) };
	static const struct {
		const char *format, *output;
		size_t first, n;
	} cases[] = {
		{ "%5d|%[1]d", "   42|42", 0, 1 },
		{ "%[9]d", "%!d(BADINDEX)", 0, 1 },
		{ "%d %d", "42 %!d(MISSING)", 0, 1 },
		{ "%d", "42%!(EXTRA string=hé)", 0, 2 },
		{ "%s", "%!s(int=42)", 0, 1 },
		{ "%d", "%!d(string=hé)", 1, 1 },
		{ "%6s|%-6s", "    hé|%!s(MISSING)", 1, 1 },
		{ "%q %x", "\"hé\" %!x(MISSING)", 1, 1 },
		{ "%.1s%%", "h%", 1, 1 },
		{ "%6.2f", "  3.14", 2, 1 },
		{ "%v", "true", 3, 1 },
		{ "%v", "[a b]", 4, 1 },
		{ "%q", "[\"a\" \"b\"]", 4, 1 },
		{ "%v %[1]d %[1]T", "1m30s 90000000000 time.Duration", 5, 1 },
		{ "%z", "%!z(int=42)", 0, 1 },
		{ "%", "%!(NOVERB)", 0, 0 },
		{ "%[2]v %[1]v", "hé 42", 0, 2 },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(buf_free) struct buf out = BUF_INIT(1024);

		print_format(&out, text_of(cases[i].format), args + cases[i].first, cases[i].n);
		assert_string_equal(buf_text(&out), cases[i].output);
	}
}

static void printf_ends_for_every_verb_and_value(UNUSED void **state)
{
	const struct value args[] = { value_time(0, 0),	 value_none(),	 value_nil_pointer(&type_time),
				      value_duration(1), value_float(1), value_nil_list(&type_strings) };

	for (char verb = ' '; verb < 127; verb++)
		for (size_t i = 0; i < ARRAY_LEN(args); i++) {
			const char format_text[] = { '%', '#', '+', verb, 0 };
			CLEANUP(buf_free) struct buf out = BUF_INIT(65536);

			print_format(&out, text_of(format_text), &args[i], 1);
			assert_true(buf_ok(&out));
		}
}

static void floats_have_the_fewest_digits(UNUSED void **state)
{
	static const struct {
		double d;
		const char *text;
	} cases[] = { { 1.5, "1.5" },	 { 1e6, "1e+06" },     { 100000, "100000" }, { 123456789.0, "1.23456789e+08" },
		      { 1e21, "1e+21" }, { 0.0001, "0.0001" }, { 0.00001, "1e-05" }, { 0.1, "0.1" },
		      { -2.5, "-2.5" } };

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(buf_free) struct buf out = BUF_INIT(64);

		print_float(&out, cases[i].d);
		assert_string_equal(buf_text(&out), cases[i].text);
	}
}

static void json_escapes_as_go_does(UNUSED void **state)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(1024);

	json_put_string(&out, text_of("a\"\\\n\t\x01<&>\xE2\x80\xA8\xff é"), false);
	assert_string_equal(buf_text(&out), "\"a\\\"\\\\\\n\\t\\u0001<&>\\u2028\\ufffd é\"");
	buf_reset(&out);
	json_put_string(&out, text_of("<none>"), true);
	assert_string_equal(buf_text(&out), "\"\\u003cnone\\u003e\"");
}

/* ---- rows ----------------------------------------------------------------- */

static const struct value_field fields[] = { { .name = "Name", .method = true } };
static const struct value_type type_row = { .name = "row", .kind = VALUE_STRUCT, .fields = fields, .n_fields = 1 };

static char *render(const char *format_text, size_t n, struct err *err)
{
	static const struct column columns[] = { { "Name", "NAME" } };
	const struct value name = value_string("x");
	CLEANUP(buf_free) struct buf out = BUF_INIT(4096);
	CLEANUP(arena_free) struct arena a;
	struct rows rows;
	int r;

	arena_init(&a, 65536);
	r = rows_open(&rows, format_text, columns_value(&a, columns, 1), err);
	for (size_t i = 0; i < n && !r; i++)
		r = rows_add(&rows, value_struct(&type_row, &name), err);
	if (!r)
		r = rows_finish(&rows, &out, err);
	rows_free(&rows);
	return r ? NULL : strdup(buf_text(&out));
}

static void rows_know_table_json_and_templates(UNUSED void **state)
{
	static const struct {
		const char *format, *output;
		size_t n;
	} cases[] = {
		{ "table {{.Name}}", "NAME\nx\n", 1 },
		{ "table {{.Name}}", "NAME\n", 0 },
		{ "table {{.Name}}\\t{{.Name}}", "NAME      NAME\nx         x\n", 1 },
		{ "tablefoo", "foo\nfoo\n", 1 },
		{ "table", "\n\n", 1 },
		{ "json", "{\"Name\":\"x\"}\n", 1 },
		{ "  {{.Name}}  ", "x\n", 1 },
		{ "a\\nb", "a\nb\n", 1 },
		{ "pretty", "pretty\npretty\n", 2 },
		{ "table {{.Nope}}", "<no value>\n", 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		CLEANUP(freep) char *text = render(cases[i].format, cases[i].n, &err);

		print_message("%s %s\n", cases[i].format, err.text);
		assert_non_null(text);
		assert_string_equal(text, cases[i].output);
	}
}

static void rows_report_template_errors(UNUSED void **state)
{
	struct err err = ERR_INIT;

	assert_null(render("{{.Nope}}", 1, &err));
	assert_string_equal(err.text,
			    "template parsing error: template: :1:2: executing \"\" at <.Nope>: can't evaluate "
			    "field Nope in type row");
	assert_null(render("{{", 0, &err));
	assert_string_equal(err.text, "template parsing error: template: :1: unclosed action");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_have_three_or_four_digits),
		cmocka_unit_test(sizes_agree_with_docker),
		cmocka_unit_test(ages_agree_with_docker),
		cmocka_unit_test(ages_end_at_292_years),
		cmocka_unit_test(ellipsis_agrees_with_docker),
		cmocka_unit_test(tables_agree_with_docker),
		cmocka_unit_test(tables_widen_ambiguous_characters_in_cjk_locales),
		cmocka_unit_test(tables_bound_their_columns),
		cmocka_unit_test(width_counts_cells),
		cmocka_unit_test(locale_decides_on_ambiguous_width),
		cmocka_unit_test(times_print_as_go_does),
		cmocka_unit_test(durations_print_and_parse_as_go_does),
		cmocka_unit_test(until_takes_times_and_durations),
		cmocka_unit_test(printf_follows_go),
		cmocka_unit_test(printf_ends_for_every_verb_and_value),
		cmocka_unit_test(floats_have_the_fewest_digits),
		cmocka_unit_test(json_escapes_as_go_does),
		cmocka_unit_test(rows_know_table_json_and_templates),
		cmocka_unit_test(rows_report_template_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

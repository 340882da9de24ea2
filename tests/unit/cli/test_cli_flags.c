/* The grammar of flags and its messages; the help that comes from the same table. */
#include "cli_test.h"

#include "client/cli/filter.h"
#include "client/cli/flags.h"
#include "client/cli/go_integer.h"

struct options {
	bool all, quiet;
	const char *format, *host;
	int64_t limit;
	struct strings filters, platforms, changes;
};

static const struct flag table[] = {
	{ "all", 'a', FLAG_BOOL, offsetof(struct options, all), "Show all", NULL },
	{ "quiet", 'q', FLAG_BOOL, offsetof(struct options, quiet), "Only IDs", NULL },
	{ "format", 'f', FLAG_STRING, offsetof(struct options, format), "Format output", NULL },
	{ "host", 'H', FLAG_STRING_ONCE, offsetof(struct options, host), "Daemon socket", NULL },
	{ "limit", 0, FLAG_INT, offsetof(struct options, limit), "Max number", NULL },
	{ "filter", 0, FLAG_FILTERS, offsetof(struct options, filters), "Filter output", NULL },
	{ "platform", 0, FLAG_STRINGS, offsetof(struct options, platforms), "Platforms", "none" },
	{ "change", 'c', FLAG_LIST, offsetof(struct options, changes), "Changes", NULL },
};

/* Parses a line of words and leaves argv in place. */
struct parsed {
	struct options options;
	struct flags flags;
	char *argv[16], *copy;
	int argc, result;
	struct err err;
};

static struct parsed *parse(const char *line, bool stop_at_argument)
{
	struct parsed *p = calloc(1, sizeof *p);
	char *word, *save = NULL;

	p->copy = strdup(line);
	p->flags = (struct flags){ table, ARRAY_LEN(table), &p->options, .stop_at_argument = stop_at_argument };
	for (word = strtok_r(p->copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
		p->argv[p->argc++] = strcmp(word, "EMPTY") ? word : word + 5;
	p->result = flags_parse(&p->flags, p->argc, p->argv, &p->err);
	return p;
}

static void done(struct parsed **p)
{
	flags_free(&(*p)->flags);
	free((*p)->copy);
	free(*p);
}

static void flags_take_values_in_every_form(UNUSED void **state)
{
	static const char *const lines[] = { "--format x", "--format=x", "-f x",
					     "-fx",	   "-f=x",	 "-qf x",
					     "-qfx",	   "-aqf=x",	 "--format y --format x",
					     "a -f x b" };

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		CLEANUP(done) struct parsed *p = parse(lines[i], false);

		assert_int_equal(p->result, OK);
		assert_string_equal(p->options.format, "x");
	}
}

static void flags_and_arguments_mix(UNUSED void **state)
{
	CLEANUP(done) struct parsed *p = parse("one -q two -- -a three", false);

	assert_int_equal(p->result, OK);
	assert_int_equal(p->flags.n_arguments, 4);
	assert_string_equal(p->argv[0], "one");
	assert_string_equal(p->argv[2], "-a");
	assert_true(p->options.quiet);
	assert_false(p->options.all);
}

static void flags_end_at_the_first_argument_where_told(UNUSED void **state)
{
	CLEANUP(done) struct parsed *p = parse("-q one --help -a", true);

	assert_int_equal(p->result, OK);
	assert_int_equal(p->flags.n_arguments, 3);
	assert_false(p->flags.help);
	assert_string_equal(p->argv[1], "--help");
}

static void flags_of_yes_and_no_take_a_value_only_after_equals(UNUSED void **state)
{
	CLEANUP(done) struct parsed *p = parse("--all=false -q=T --all x", false);

	assert_int_equal(p->result, OK);
	assert_true(p->options.all);
	assert_true(p->options.quiet);
	assert_int_equal(p->flags.n_arguments, 1);
}

static void flags_collect_lists(UNUSED void **state)
{
	CLEANUP(done) struct parsed *p = parse("--filter a=b --filter c=d=e --platform x,y --platform z", false);

	assert_int_equal(p->result, OK);
	assert_int_equal(p->options.filters.n, 2);
	assert_string_equal(p->options.filters.items[1], "c=d=e");
	assert_int_equal(p->options.platforms.n, 3);
	assert_string_equal(p->options.platforms.items[1], "y");
}

static void flags_keep_commas_of_a_list(UNUSED void **state)
{
	CLEANUP(done) struct parsed *p = parse("-c a,b --change=c EMPTY -c EMPTY", false);

	assert_int_equal(p->result, OK);
	assert_int_equal(p->options.changes.n, 3);
	assert_string_equal(p->options.changes.items[0], "a,b");
	assert_string_equal(p->options.changes.items[1], "c");
	assert_string_equal(p->options.changes.items[2], "");
}

static void flags_refuse_with_the_words_of_pflag(UNUSED void **state)
{
	static const struct {
		const char *line, *text;
	} cases[] = {
		{ "--nope", "unknown flag: --nope" },
		{ "--forma x", "unknown flag: --forma" },
		{ "-z", "unknown shorthand flag: 'z' in -z" },
		{ "-qz", "unknown shorthand flag: 'z' in -z" },
		{ "--format", "flag needs an argument: --format" },
		{ "-f", "flag needs an argument: 'f' in -f" },
		{ "-qf", "flag needs an argument: 'f' in -f" },
		{ "--all=maybe", "invalid argument \"maybe\" for \"-a, --all\" flag: strconv.ParseBool: parsing "
				 "\"maybe\": invalid syntax" },
		{ "--limit x",
		  "invalid argument \"x\" for \"--limit\" flag: strconv.ParseInt: parsing \"x\": invalid syntax" },
		{ "--filter foo",
		  "invalid argument \"foo\" for \"--filter\" flag: bad format of filter (expected name=value)" },
		{ "-H a -H b", "invalid argument \"b\" for \"-H, --host\" flag: specify only one -H" },
		{ "--limit 99999999999999999999",
		  "invalid argument \"99999999999999999999\" for \"--limit\" flag: "
		  "strconv.ParseInt: parsing \"99999999999999999999\": value out of range" },
		{ "--help=x", "invalid argument \"x\" for \"--help\" flag: strconv.ParseBool: parsing "
			      "\"x\": invalid syntax" },
		{ "-h=x", "invalid argument \"x\" for \"--help\" flag: strconv.ParseBool: parsing "
			  "\"x\": invalid syntax" },
		{ "-\xc3\xa9", "unknown shorthand flag: '\xc3\x83' in -\xc3\xa9" },
		{ "-'", "unknown shorthand flag: '\\'' in -'" },
		{ "--=x", "bad flag syntax: --=x" },
		{ "---x", "bad flag syntax: ---x" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(done) struct parsed *p = parse(cases[i].line, false);

		assert_int_equal(p->result, E_USAGE);
		assert_string_equal(p->err.text, cases[i].text);
		assert_int_equal(err_exit_code(p->err.code), 125);
	}
}

static void flags_know_help(UNUSED void **state)
{
	CLEANUP(done) struct parsed *long_form = parse("--help", false);
	CLEANUP(done) struct parsed *short_form = parse("-qh", false);

	assert_true(long_form->flags.help && !long_form->flags.n_help_shorthands);
	assert_true(short_form->flags.help);
	assert_int_equal(1, short_form->flags.n_help_shorthands);
}

static void flags_print_their_help_wrapped(UNUSED void **state)
{
	static const struct flag long_table[] = {
		{ "all", 'a', FLAG_BOOL, 0, "Show all images (default hides intermediate images)", NULL },
		{ "format", 0, FLAG_STRING, 0,
		  "Format output using a custom template:\n'json':             Print in JSON format\n"
		  "'TEMPLATE':         Print output using the given Go template.",
		  NULL },
		{ "human", 'H', FLAG_BOOL, 0, "Print sizes and dates in human readable format", "true" },
	};
	CLEANUP(buf_free) struct buf out = BUF_INIT(4096);

	flags_print(&out, long_table, ARRAY_LEN(long_table), 0, 79);
	assert_string_equal(buf_text(&out),
			    "  -a, --all             Show all images (default hides intermediate images)\n"
			    "      --format string   Format output using a custom template:\n"
			    "                        'json':             Print in JSON format\n"
			    "                        'TEMPLATE':         Print output using the given\n"
			    "                        Go template.\n"
			    "  -H, --human           Print sizes and dates in human readable format\n"
			    "                        (default true)\n");
}

static void flags_wrap_as_far_as_the_terminal_goes(UNUSED void **state)
{
	static const struct flag narrow[] = {
		{ "a-rather-long-name", 0, FLAG_BOOL, 0, "some words that need\nmore than one line", NULL },
	};
	static const struct {
		int columns;
		const char *text;
	} cases[] = {
		/* the column is 29 wide: 24 are left behind it, from 40 on of a block below it */
		{ 53, "      --a-rather-long-name   some words that\n"
		      "                             need\n"
		      "                             more than one line\n" },
		{ 52, "      --a-rather-long-name   \n"
		      "                some words that need\n"
		      "                more than one line\n" },
		{ 39, "      --a-rather-long-name   some words that need\n"
		      "                more than one line\n" },
		{ 0, "      --a-rather-long-name   some words that need\n"
		     "                             more than one line\n" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(buf_free) struct buf out = BUF_INIT(4096);

		flags_print(&out, narrow, ARRAY_LEN(narrow), 0, cases[i].columns);
		assert_string_equal(cases[i].text, buf_text(&out));
	}
}

static void integers_are_read_as_go_reads_them(UNUSED void **state)
{
	static const struct {
		const char *text;
		int64_t number;
	} good[] = {
		{ "0", 0 },
		{ "-0", 0 },
		{ "+7", 7 },
		{ "010", 8 },
		{ "0o10", 8 },
		{ "0x1F", 31 },
		{ "0b101", 5 },
		{ "1_000", 1000 },
		{ "0x_f", 15 },
		{ "0_7", 7 },
		{ "-12", -12 },
		{ "9223372036854775807", INT64_MAX },
		{ "-9223372036854775808", INT64_MIN },
	};
	static const char *const bad[] = {
		"", "-", "+", " 1", "1 ", "08", "0x", "1__0", "1_", "_1", "0b2", "1e3", "--1"
	};
	static const char *const large[] = { "9223372036854775808", "-9223372036854775809", "0xffffffffffffffff" };
	int64_t number;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_null(go_integer(good[i].text, &number));
		assert_int_equal(good[i].number, number);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_string_equal("invalid syntax", go_integer(bad[i], &number));
	for (size_t i = 0; i < ARRAY_LEN(large); i++)
		assert_string_equal("value out of range", go_integer(large[i], &number));
}

static void marked_flags_are_left_out_of_help_and_work(UNUSED void **state)
{
	static const struct flag marked[] = {
		{ "a-long-name-of-ours", 0, FLAG_BOOL | FLAG_OWN, offsetof(struct options, all), "Ours", NULL },
		{ "format", 'f', FLAG_STRING | FLAG_HIDDEN, offsetof(struct options, format), "Hidden", NULL },
		{ "quiet", 'q', FLAG_BOOL, offsetof(struct options, quiet), "Only IDs", NULL },
	};
	char argument[] = "-fx", other[] = "--a-long-name-of-ours", *argv[] = { argument, other };
	struct options options = { 0 };
	struct flags f = { .table = marked, .n = ARRAY_LEN(marked), .options = &options };
	CLEANUP(buf_free) struct buf docker = BUF_INIT(4096);
	CLEANUP(buf_free) struct buf all = BUF_INIT(4096);

	flags_print(&docker, marked, ARRAY_LEN(marked), FLAG_OWN, 79);
	assert_string_equal("  -q, --quiet   Only IDs\n", buf_text(&docker));
	flags_print(&all, marked, ARRAY_LEN(marked), 0, 79);
	assert_string_equal("      --a-long-name-of-ours   Ours\n"
			    "  -q, --quiet                 Only IDs\n",
			    buf_text(&all));
	assert_int_equal(OK, flags_parse(&f, ARRAY_LEN(argv), argv, NULL));
	assert_true(options.all);
	assert_string_equal("x", options.format);
}

/* ---- filters -------------------------------------------------------------- */

static int parse_filters(enum filter_command command, struct image_filter *f, struct err *err, const char **items,
			 size_t n)
{
	struct strings list = { items, n };

	return image_filter_parse(&list, command, INT64_C(1700000000000000000), f, err);
}

static void filters_become_conditions(UNUSED void **state)
{
	const char *items[] = { "reference=a*", "Label = x=y ", "label!=z", "dangling=1",
				"before=b",	"since=c",	"until=1h", "reference=d" };
	CLEANUP(image_filter_free) struct image_filter f;

	assert_int_equal(parse_filters(FILTER_IMAGES, &f, NULL, items, ARRAY_LEN(items)), OK);
	assert_int_equal(image_filter_add_reference(&f, "e", NULL), OK);
	assert_int_equal(f.message.n_references, 3);
	assert_string_equal(f.message.references[2], "e");
	assert_string_equal(f.message.labels[0], "x=y");
	assert_string_equal(f.message.without_labels[0], "z");
	assert_int_equal(f.message.dangling, IMAGED__V1__CHOICE__CHOICE_YES);
	assert_string_equal(f.message.before, "b");
	assert_int_equal(f.message.until->seconds, 1700000000 - 3600);
}

static void filters_refuse_with_the_words_of_docker(UNUSED void **state)
{
	static const struct {
		enum filter_command command;
		const char *items[2];
		size_t n;
		const char *text;
	} cases[] = {
		{ FILTER_IMAGES, { "foo=bar" }, 1, "invalid filter 'foo'" },
		{ FILTER_PRUNE, { "reference=bar" }, 1, "invalid filter 'reference'" },
		{ FILTER_IMAGES, { "dangling=maybe" }, 1, "invalid filter 'dangling=[maybe]'" },
		{ FILTER_IMAGES, { "dangling=true", "dangling=0" }, 2, "invalid filter 'dangling=[false true]'" },
		{ FILTER_PRUNE, { "until=1h", "until=2h" }, 2, "more than one until filter specified" },
		{ FILTER_PRUNE, { "until=whenever" }, 1, "failed to parse value as time or duration: \"whenever\"" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *items[2] = { cases[i].items[0], cases[i].items[1] };
		CLEANUP(image_filter_free) struct image_filter f;
		struct err err = ERR_INIT;

		assert_true(parse_filters(cases[i].command, &f, &err, items, cases[i].n) < 0);
		assert_string_equal(err.text, cases[i].text);
		assert_int_equal(err_prefix(err.code), ERR_PREFIX_DAEMON);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flags_take_values_in_every_form),
		cmocka_unit_test(flags_and_arguments_mix),
		cmocka_unit_test(flags_end_at_the_first_argument_where_told),
		cmocka_unit_test(flags_of_yes_and_no_take_a_value_only_after_equals),
		cmocka_unit_test(flags_collect_lists),
		cmocka_unit_test(flags_keep_commas_of_a_list),
		cmocka_unit_test(flags_refuse_with_the_words_of_pflag),
		cmocka_unit_test(flags_know_help),
		cmocka_unit_test(flags_print_their_help_wrapped),
		cmocka_unit_test(flags_wrap_as_far_as_the_terminal_goes),
		cmocka_unit_test(integers_are_read_as_go_reads_them),
		cmocka_unit_test(marked_flags_are_left_out_of_help_and_work),
		cmocka_unit_test(filters_become_conditions),
		cmocka_unit_test(filters_refuse_with_the_words_of_docker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

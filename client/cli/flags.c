#include "client/cli/flags.h"

#include "client/cli/go_integer.h"
#include "client/cli/value/print.h"

enum { KINDS = 0xff, SLOP = 5 };

/* Every table has it. -h is an old form, which messages do not name. */
static const struct flag help_flag = { "help", 0, FLAG_BOOL, 0, NULL, NULL };

struct args {
	int argc, at; /* argv[at] is the one being read */
	char **argv;
};

static const struct flag *find_name(const struct flags *f, const char *name, size_t len)
{
	for (size_t i = 0; i < f->n; i++)
		if (strlen(f->table[i].name) == len && !memcmp(f->table[i].name, name, len))
			return &f->table[i];
	return len == 4 && !memcmp(name, "help", 4) ? &help_flag : NULL;
}

static const struct flag *find_shorthand(const struct flags *f, char c)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->table[i].shorthand == c)
			return &f->table[i];
	return c == 'h' ? &help_flag : NULL;
}

static enum flag_kind kind_of(const struct flag *flag)
{
	return flag->kind & KINDS;
}

static const char *spelling(const struct flag *flag, char out[64])
{
	if (flag->shorthand)
		snprintf(out, 64, "-%c, --%s", flag->shorthand, flag->name);
	else
		snprintf(out, 64, "--%s", flag->name);
	return out;
}

static int bad_value(const struct flag *flag, const char *value, const char *why, struct err *err)
{
	CLEANUP(buf_free) struct buf quoted = BUF_INIT(ERR_TEXT_MAX / 3);
	char name[64];

	print_quoted(&quoted, text_of(value));
	return fail(err, E_USAGE, "invalid argument %s for \"%s\" flag: %s", buf_text(&quoted), spelling(flag, name),
		    why);
}

static int bad_number(const struct flag *flag, const char *value, const char *function, const char *what,
		      struct err *err)
{
	CLEANUP(buf_free) struct buf why = BUF_INIT(ERR_TEXT_MAX / 3);

	buf_printf(&why, "strconv.%s: parsing ", function);
	print_quoted(&why, text_of(value));
	buf_printf(&why, ": %s", what);
	return bad_value(flag, value, buf_text(&why), err);
}

static int set_bool(const struct flag *flag, bool *target, const char *value, struct err *err)
{
	static const char *const yes[] = { "1", "t", "T", "true", "TRUE", "True" };
	static const char *const no[] = { "0", "f", "F", "false", "FALSE", "False" };

	for (size_t i = 0; i < ARRAY_LEN(yes); i++)
		if (!strcmp(value, yes[i]) || !strcmp(value, no[i])) {
			*target = value == yes[i] || !strcmp(value, yes[i]);
			return OK;
		}
	return bad_number(flag, value, "ParseBool", "invalid syntax", err);
}

static int set_int(const struct flag *flag, int64_t *target, const char *value, struct err *err)
{
	const char *wrong = go_integer(value, target);

	return wrong ? bad_number(flag, value, "ParseInt", wrong, err) : OK;
}

/* As docker counts memory: "64m", "1.5 GiB"; k is 1024, -1 is unlimited. */
static int set_bytes(const struct flag *flag, int64_t *target, const char *value, struct err *err)
{
	static const char units[] = "bkmgtp";
	char why[96], *end;
	const char *unit;
	double number;
	size_t len;

	number = strtod(value, &end);
	end += *end == ' ';
	len = strlen(end);
	unit = *end ? strchr(units, *end | 0x20) : units;
	snprintf(why, sizeof why, "invalid size: '%.64s'", value);
	if (end == value || *value == ' ' || !(number < 9e18) || (number < 0 && strcmp(value, "-1") != 0))
		return bad_value(flag, value, why, err);
	if (!unit || (unit == units && len > 1) || (len == 2 && strcasecmp(end + 1, "b")) ||
	    (len == 3 && strcasecmp(end + 1, "ib")) || len > 3) {
		snprintf(why, sizeof why, "invalid suffix: '%.64s'", end);
		return bad_value(flag, value, why, err);
	}
	number *= (double)(INT64_C(1) << 10 * (unit - units));
	if (!(number < 9e18))
		return bad_value(flag, value, why, err);
	*target = (int64_t)number;
	return OK;
}

static int append(struct strings *list, const char *value, struct err *err)
{
	const char **items = reallocarray(list->items, list->n + 1, sizeof *items);

	if (!items)
		return fail_nomem(err);
	list->items = items;
	items[list->n++] = value;
	return OK;
}

static int append_each(struct strings *list, char *values, struct err *err)
{
	char *rest = values, *value;
	int r = OK;

	while (!r && *values && (value = strsep(&rest, ",")))
		r = append(list, value, err);
	return r;
}

static int set(struct flags *f, const struct flag *flag, char *value, struct err *err)
{
	void *target = flag == &help_flag ? (void *)&f->help : (char *)f->options + flag->offset;

	switch (kind_of(flag)) {
	case FLAG_BOOL:
		return set_bool(flag, target, value, err);
	case FLAG_INT:
		return set_int(flag, target, value, err);
	case FLAG_FILTERS:
		if (!*value)
			return OK;
		if (!strchr(value, '='))
			return bad_value(flag, value, "bad format of filter (expected name=value)", err);
		return append(target, value, err);
	case FLAG_LIST:
	case FLAG_ARRAY:
	case FLAG_ULIMIT:
		return append(target, value, err);
	case FLAG_BYTES:
		return set_bytes(flag, target, value, err);
	case FLAG_STRINGS:
		return append_each(target, value, err);
	case FLAG_STRING_ONCE:
		if (*(const char **)target) {
			char why[96];

			snprintf(why, sizeof why, "specify only one -%c", flag->shorthand);
			return bad_value(flag, value, why, err);
		}
		__attribute__((fallthrough));
	default:
		*(const char **)target = value;
		return OK;
	}
}

/* --name, --name=value, --name value */
static int parse_long(struct flags *f, struct args *a, struct err *err)
{
	static char yes[] = "true";
	char *arg = a->argv[a->at] + 2, *equals = strchr(arg, '=');
	size_t len = equals ? (size_t)(equals - arg) : strlen(arg);
	const struct flag *flag = find_name(f, arg, len);

	if (!len || arg[0] == '-' || arg[0] == '=')
		return fail(err, E_USAGE, "bad flag syntax: %s", a->argv[a->at]);
	if (!flag)
		return fail(err, E_USAGE, "unknown flag: --%.*s", (int)len, arg);
	if (equals)
		return set(f, flag, equals + 1, err);
	if (kind_of(flag) == FLAG_BOOL)
		return set(f, flag, yes, err);
	if (a->at + 1 >= a->argc)
		return fail(err, E_USAGE, "flag needs an argument: --%s", flag->name);
	return set(f, flag, a->argv[++a->at], err);
}

/* Go prints the byte as if it were a character. */
static int fail_letter(const char *what, const char *group, struct err *err)
{
	CLEANUP(buf_free) struct buf letter = BUF_INIT(64);
	const struct value c = value_int((unsigned char)*group);

	print_format(&letter, text_of("%q"), &c, 1);
	return fail(err, E_USAGE, "%s: %s in -%s", what, buf_text(&letter), group);
}

/* One letter of a group; *p moves behind what it takes. */
static int parse_letter(struct flags *f, struct args *a, char **p, struct err *err)
{
	static char yes[] = "true", nothing[] = "";
	char *group = *p, *rest = group + 1;
	const struct flag *flag = find_shorthand(f, *group);

	*p = rest;
	if (!flag)
		return fail_letter("unknown shorthand flag", group, err);
	f->n_help_shorthands += flag == &help_flag;
	if (*rest == '=' && rest[1]) {
		*p = nothing;
		return set(f, flag, rest + 1, err);
	}
	if (kind_of(flag) == FLAG_BOOL)
		return set(f, flag, yes, err);
	*p = nothing;
	if (*rest)
		return set(f, flag, rest, err);
	if (a->at + 1 >= a->argc)
		return fail_letter("flag needs an argument", group, err);
	return set(f, flag, a->argv[++a->at], err);
}

static int parse_group(struct flags *f, struct args *a, struct err *err)
{
	char *p = a->argv[a->at] + 1;
	int r = OK;

	while (*p && !r)
		r = parse_letter(f, a, &p, err);
	return r;
}

int flags_parse(struct flags *f, int argc, char **argv, struct err *err)
{
	struct args a = { .argc = argc, .argv = argv };
	bool ended = false;
	int r = OK;

	f->n_arguments = 0;
	for (; a.at < argc && !r; a.at++) {
		char *arg = argv[a.at];

		if (ended || arg[0] != '-' || !arg[1]) {
			argv[f->n_arguments++] = arg;
			ended |= f->stop_at_argument;
		} else if (!strcmp(arg, "--")) {
			ended = true;
		} else {
			r = arg[1] == '-' ? parse_long(f, &a, err) : parse_group(f, &a, err);
		}
	}
	return r;
}

static bool is_list(enum flag_kind kind)
{
	return kind == FLAG_FILTERS || kind == FLAG_STRINGS || kind == FLAG_LIST || kind == FLAG_ARRAY ||
	       kind == FLAG_ULIMIT;
}

void flags_free(const struct flags *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (is_list(kind_of(&f->table[i]))) {
			struct strings *list = (struct strings *)((char *)f->options + f->table[i].offset);

			free(list->items);
			*list = (struct strings){ 0 };
		}
}

/* ---- help ----------------------------------------------------------------- */

const char *flag_value_name(const struct flag *flag)
{
	static const char *const names[] = {
		[FLAG_BOOL] = "",	[FLAG_STRING] = "string",     [FLAG_STRING_ONCE] = "string",
		[FLAG_INT] = "int",	[FLAG_FILTERS] = "filter",    [FLAG_STRINGS] = "strings",
		[FLAG_LIST] = "list",	[FLAG_ARRAY] = "stringArray", [FLAG_ULIMIT] = "ulimit",
		[FLAG_BYTES] = "bytes",
	};

	return names[kind_of(flag)];
}

static size_t left_column(const struct flag *flag, char out[128])
{
	const char *value = flag_value_name(flag);
	char shorthand[8] = "    ";

	if (flag->shorthand)
		snprintf(shorthand, sizeof shorthand, "-%c, ", flag->shorthand);
	return (size_t)snprintf(out, 128, "  %s--%s%s%s", shorthand, flag->name, *value ? " " : "", value);
}

static void indent(struct buf *out, size_t n)
{
	while (n--)
		buf_putc(out, ' ');
}

/* How much of the text goes into one line of `width`: all of it when it is not
 * much longer, so that no short word stands alone on the last line. */
static size_t line_len(const char *text, size_t width)
{
	size_t len = strlen(text), space = 0;

	if (width + SLOP > len)
		return len;
	for (size_t i = 0; i < width; i++)
		if (text[i] == ' ' || text[i] == '\t' || text[i] == '\n')
			space = i;
	if (!space)
		return len;
	/* A newline before ends the line as well: the last one does. */
	for (size_t i = space; i-- > 1;)
		if (text[i] == '\n')
			return i;
	return space;
}

static void put_indented(struct buf *out, const char *text, size_t len, size_t left)
{
	for (size_t i = 0; i < len; i++) {
		buf_putc(out, text[i]);
		if (text[i] == '\n')
			indent(out, left);
	}
}

/* Behind a column that ends at `left`. Where too little is left of the line, the text begins on
 * the next one; where that is too narrow as well, it is not wrapped. */
static void put_wrapped(struct buf *out, const char *text, int left, int columns)
{
	enum { NARROWEST = 24, BLOCK = 16 };
	bool on_next_line = columns && columns - left < NARROWEST;

	left = on_next_line ? BLOCK : left;
	if (!columns || columns - left < NARROWEST) {
		put_indented(out, text, strlen(text), (size_t)left);
		buf_putc(out, '\n');
		return;
	}
	if (on_next_line) {
		buf_putc(out, '\n');
		indent(out, (size_t)left);
	}
	while (*text) {
		size_t len = line_len(text, (size_t)(columns - left - SLOP));

		put_indented(out, text, len, (size_t)left);
		text += len + (text[len] != 0);
		buf_putc(out, '\n');
		if (*text)
			indent(out, (size_t)left);
	}
}

static void print_flag(struct buf *out, const struct flag *flag, size_t widest, int columns)
{
	CLEANUP(buf_free) struct buf usage = BUF_INIT(4096);
	char column[128];
	size_t width = left_column(flag, column);

	buf_puts(&usage, flag->usage);
	if (flag->default_text)
		buf_printf(&usage, " (default %s)", flag->default_text);
	buf_append(out, column, width);
	indent(out, widest + 3 - width);
	put_wrapped(out, buf_text(&usage), (int)widest + 3, columns);
}

void flags_print(struct buf *out, const struct flag *table, size_t n, unsigned without, int columns)
{
	size_t widest = 0;
	char column[128];

	without |= FLAG_HIDDEN;
	for (size_t i = 0; i < n; i++) {
		size_t width = table[i].kind & without ? 0 : left_column(&table[i], column);

		widest = width > widest ? width : widest;
	}
	for (size_t i = 0; i < n; i++)
		if (!(table[i].kind & without))
			print_flag(out, &table[i], widest, columns);
}

#include "client/cli/docs/completion.h"

#include "client/cli/docs/values.h"

/* How a shell writes what the tables say. */
struct dialect {
	const char *shell;
	const char *branch, *next_path, *end_paths, *end_branch;
	const char *list, *words, *end_list; /* around the name, and behind the words */
	char separator;			     /* of a word and its description; 0: there are none */
	const char *quote;		     /* a single quote within single quotes */
};

static const struct dialect dialects[] = {
	{ "bash", "\t", " | ", ")\n", "\t\t;;\n", "\t\t", "=(", ")\n", 0, "'\\''" },
	{ "zsh", "\t", " | ", ")\n", "\t\t;;\n", "\t\t", "=(", ")\n", ':', "'\\''" },
	{ "fish", "        case ", " ", "\n", "", "            set ", " ", "\n", '\t', "\\'" },
};

static const char commands_mark[] = "@COMMANDS@\n";

/* ---- lists ---------------------------------------------------------------- */

static void put_quoted(const struct dialect *d, struct buf *out, const char *text)
{
	for (; *text && *text != '\n'; text++)
		if (*text == '\'')
			buf_puts(out, d->quote);
		else
			buf_putc(out, *text);
}

static void put_word(const struct dialect *d, struct buf *out, const char *prefix, const char *word,
		     const char *description)
{
	buf_printf(out, "%s'%s%s", out->len ? " " : "", prefix, word);
	if (d->separator && description) {
		buf_putc(out, d->separator);
		put_quoted(d, out, description);
	}
	buf_putc(out, '\'');
}

static void put_list(const struct dialect *d, struct buf *out, const char *name, const struct buf *words)
{
	buf_printf(out, "%s%s%s%s%s", d->list, name, d->words, buf_text(words), d->end_list);
}

/* Both forms of a flag, one after the other. */
static void put_flag(const struct dialect *d, struct buf *out, const struct flag *flag, const char *description)
{
	const char letter[] = { flag->shorthand, 0 };

	put_word(d, out, "--", flag->name, description);
	if (flag->shorthand)
		put_word(d, out, "-", letter, description);
}

/* ---- what a command has --------------------------------------------------- */

static void put_names(const struct dialect *d, struct buf *out, const struct catalog_entry *e)
{
	CLEANUP(buf_free) struct buf words = BUF_INIT(64 * 1024);

	for (const struct command *c = catalog_subcommands(e); c && c->name; c++)
		put_word(d, &words, "", c->name, c->spec ? c->spec->summary : c->summary);
	put_list(d, out, "names", &words);
}

static void put_flags(const struct dialect *d, struct buf *out, const struct catalog_entry *e)
{
	CLEANUP(buf_free) struct buf words = BUF_INIT(64 * 1024);
	CLEANUP(buf_free) struct buf valued = BUF_INIT(64 * 1024);
	const struct flag *flags;
	size_t n;

	flags = catalog_flags(e, &n);
	for (size_t i = 0; i < n; i++) {
		if (*flag_value_name(&flags[i]))
			put_flag(d, &valued, &flags[i], NULL);
		if (!(flags[i].kind & FLAG_HIDDEN))
			put_flag(d, &words, &flags[i], flags[i].usage);
	}
	put_word(d, &words, "--", "help", "Print usage");
	put_list(d, out, "flags", &words);
	put_list(d, out, "valued", &valued);
}

static void put_value(const struct dialect *d, struct buf *out, const struct flag *flag)
{
	CLEANUP(buf_free) struct buf values = BUF_INIT(256);
	CLEANUP(buf_free) struct buf word = BUF_INIT(512);

	if (!*flag_value_name(flag))
		return;
	flag_values_put(&values, flag);
	if (!values.len)
		return;
	buf_printf(&word, "--%s=%s", flag->name, buf_text(&values));
	put_word(d, out, "", buf_text(&word), NULL);
	if (!flag->shorthand)
		return;
	buf_reset(&word);
	buf_printf(&word, "-%c=%s", flag->shorthand, buf_text(&values));
	put_word(d, out, "", buf_text(&word), NULL);
}

static void put_values(const struct dialect *d, struct buf *out, const struct catalog_entry *e)
{
	CLEANUP(buf_free) struct buf words = BUF_INIT(64 * 1024);
	const struct flag *flags;
	size_t n;

	flags = catalog_flags(e, &n);
	for (size_t i = 0; i < n; i++)
		put_value(d, &words, &flags[i]);
	put_list(d, out, "values", &words);
}

static void put_arguments(const struct dialect *d, struct buf *out, const struct catalog_entry *e)
{
	CLEANUP(buf_free) struct buf words = BUF_INIT(256);
	const char *values = e->command && e->command->spec ? argument_values(e->command->spec) : "";

	if (*values)
		put_word(d, &words, "", values, NULL);
	put_list(d, out, "arguments", &words);
}

static void put_branch(const struct dialect *d, struct buf *out, const struct catalog_entry *e)
{
	buf_puts(out, d->branch);
	for (size_t i = 0; i < e->paths.n; i++)
		buf_printf(out, "%s'%s'", i ? d->next_path : "", e->paths.items[i]);
	buf_puts(out, d->end_paths);
	put_names(d, out, e);
	put_flags(d, out, e);
	put_values(d, out, e);
	put_arguments(d, out, e);
	buf_puts(out, d->end_branch);
}

/* ---- the script ----------------------------------------------------------- */

int completion_put(const struct catalog *c, const char *shell, const char *template, struct buf *out, struct err *err)
{
	const char *place = strstr(template, commands_mark);
	const struct dialect *d = NULL;

	for (size_t i = 0; i < ARRAY_LEN(dialects); i++)
		if (!strcmp(dialects[i].shell, shell))
			d = &dialects[i];
	if (!d)
		return fail(err, E_USAGE, "there are completions for bash, zsh and fish, not for '%s'", shell);
	if (!place)
		return fail(err, E_INVALID, "the script has no place for commands");
	buf_append(out, template, (size_t)(place - template));
	for (size_t i = 0; i < c->n; i++)
		put_branch(d, out, &c->entries[i]);
	buf_puts(out, place + strlen(commands_mark));
	return OK;
}

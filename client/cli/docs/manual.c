#include "client/cli/docs/manual.h"

#include "client/cli/global_flags.h"

static const char marker[] = "\n.\\\" command: ";
static const char options_mark[] = "@OPTIONS@\n";

/* ---- text ----------------------------------------------------------------- */

/* As roff prints it; `p` is the beginning of a line. */
static void put_text(struct buf *out, const char *p)
{
	bool begins = true;

	for (; *p; p++) {
		if (begins && (*p == '.' || *p == '\''))
			buf_puts(out, "\\&");
		if (*p == '\\')
			buf_puts(out, "\\e");
		else if (*p == '-')
			buf_puts(out, "\\-");
		else if (*p == '\n')
			buf_puts(out, "\n.br\n");
		else
			buf_putc(out, *p);
		begins = *p == '\n';
	}
}

static void put_flag(struct buf *out, const struct flag *flag)
{
	buf_puts(out, ".TP\n");
	if (flag->shorthand)
		buf_printf(out, "\\fB\\-%c\\fR, ", flag->shorthand);
	buf_puts(out, "\\fB\\-\\-");
	put_text(out, flag->name);
	buf_puts(out, "\\fR");
	if (*flag_value_name(flag)) {
		buf_puts(out, " \\fI");
		put_text(out, flag_value_name(flag));
		buf_puts(out, "\\fR");
	}
	buf_putc(out, '\n');
	put_text(out, flag->usage);
	if (flag->default_text) {
		buf_puts(out, " (default ");
		put_text(out, flag->default_text);
		buf_putc(out, ')');
	}
	buf_putc(out, '\n');
}

static void put_flags(struct buf *out, const struct flag *flags, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!(flags[i].kind & FLAG_HIDDEN))
			put_flag(out, &flags[i]);
}

/* ---- commands ------------------------------------------------------------- */

/* The template's lines about the command; their length. */
static const char *prose_of(const char *template, const char *name, size_t *ret_len)
{
	size_t len = strlen(name);

	for (const char *p = strstr(template, marker); p; p = strstr(p, marker)) {
		const char *end;

		p += strlen(marker);
		if (strncmp(p, name, len) != 0 || p[len] != '\n')
			continue;
		p += len;
		end = strstr(p, "\n.SH ");
		if (strstr(p, marker) && (!end || strstr(p, marker) < end))
			end = strstr(p, marker);
		*ret_len = end ? (size_t)(end - p) : strlen(p);
		return p;
	}
	*ret_len = 0;
	return "";
}

static void put_names(struct buf *out, const struct strings *names, size_t from, bool *begun)
{
	for (size_t i = from; i < names->n; i++) {
		buf_puts(out, *begun ? ",\n\\fB" : ".PP\nAlso \\fB");
		put_text(out, names->items[i]);
		buf_puts(out, "\\fR");
		*begun = true;
	}
}

static void put_other_names(struct buf *out, const struct catalog_entry *e)
{
	bool begun = false;

	put_names(out, &e->paths, 1, &begun);
	put_names(out, &e->others, 0, &begun);
	if (begun)
		buf_puts(out, ".\n");
}

static void put_command(struct buf *out, const struct catalog_entry *e, const char *template)
{
	const struct command_spec *spec = e->command->spec;
	const char *name = e->paths.items[0], *prose;
	size_t len;

	buf_puts(out, "\n.SS ");
	put_text(out, name);
	buf_putc(out, ' ');
	put_text(out, spec->usage);
	buf_putc(out, '\n');
	put_text(out, spec->summary);
	buf_puts(out, ".\n");
	prose = prose_of(template, name, &len);
	if (len) {
		buf_puts(out, ".PP");
		buf_append(out, prose, len);
		buf_putc(out, '\n');
	}
	put_other_names(out, e);
	put_flags(out, spec->flags, spec->n_flags);
}

static bool is_command(const struct catalog *c, const char *name, size_t len)
{
	for (size_t i = 1; i < c->n; i++) {
		const struct catalog_entry *e = &c->entries[i];
		const char *path = e->paths.items[0];

		if (e->command->spec && !e->is_repeated && strlen(path) == len && !memcmp(path, name, len))
			return true;
	}
	return false;
}

static int check_prose(const struct catalog *c, const char *template, struct err *err)
{
	for (const char *p = strstr(template, marker); p; p = strstr(p, marker)) {
		size_t len;

		p += strlen(marker);
		len = strcspn(p, "\n");
		if (!is_command(c, p, len))
			return fail(err, E_INVALID, "the manual tells of a command '%.*s', which is not in the tables",
				    (int)len, p);
	}
	return OK;
}

/* ---- the page ------------------------------------------------------------- */

int manual_put(const struct catalog *c, const char *template, struct buf *out, struct err *err)
{
	const char *begin = strstr(template, marker), *end = begin ? strstr(begin, "\n.SH ") : NULL;
	const char *options = end ? strstr(end, options_mark) : NULL;

	if (!options)
		return fail(err, E_INVALID, "the manual has no place for commands or options");
	if (check_prose(c, template, err))
		return err->code;
	buf_append(out, template, (size_t)(begin - template));
	for (size_t i = 1; i < c->n; i++)
		if (c->entries[i].command->spec && !c->entries[i].is_repeated)
			put_command(out, &c->entries[i], template);
	buf_append(out, end + 1, (size_t)(options - end - 1));
	put_flags(out, global_flags, N_GLOBAL_FLAGS);
	buf_puts(out, options + strlen(options_mark));
	return OK;
}

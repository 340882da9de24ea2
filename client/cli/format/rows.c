#include "client/cli/format/rows.h"

#include "client/cli/format/table.h"
#include "client/cli/format/width.h"

static const char directive[] = "table";

const struct value_type type_header = {
	.name = "formatter.SubHeaderContext",
	.kind = VALUE_MAP,
	.elem = &type_string,
};

struct value columns_value(struct arena *a, const struct column *columns, size_t n)
{
	struct value_pair *pairs = arena_array(a, n, sizeof *pairs);

	for (size_t i = 0; pairs && i < n; i++)
		pairs[i] = (struct value_pair){ text_of(columns[i].field), value_string(columns[i].header) };
	return value_map(&type_header, pairs, n);
}

bool format_is_table(const char *format)
{
	return !strncmp(format, directive, strlen(directive));
}

/* Without blanks at both ends, "\t" and "\n" replaced by what they mean. */
static char *source_of(const char *format)
{
	size_t len;
	char *source, *to;

	format += strspn(format, " ");
	for (len = strlen(format); len && format[len - 1] == ' '; len--)
		;
	source = to = malloc(len + 1);
	if (!source)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		char next = i + 1 < len ? format[i + 1] : 0;

		if (format[i] == '\\' && (next == 't' || next == 'n')) {
			*to++ = next == 't' ? '\t' : '\n';
			i++;
		} else {
			*to++ = format[i];
		}
	}
	*to = 0;
	return source;
}

int rows_open(struct rows *r, const char *format, struct value header, struct err *err)
{
	*r = (struct rows){ .header = header, .text = BUF_INIT(TEMPLATE_OUTPUT_MAX) };
	r->table = format_is_table(format);
	if (r->table)
		format += strlen(directive);
	else if (!strcmp(format, "json"))
		format = "{{json .}}";
	r->source = source_of(format);
	if (!r->source)
		return fail_nomem(err);
	if (template_parse(text_of(r->source), &r->t, err))
		return err_wrap(err, "template parsing error");
	return OK;
}

int rows_add(struct rows *r, struct value row, struct err *err)
{
	static const struct template_options options = { .mode = TEMPLATE_ROW };

	if (row.kind == VALUE_NONE)
		return fail_nomem(err);
	if (template_execute(r->t, &options, row, &r->text, err))
		return err_wrap(err, "template parsing error");
	buf_putc(&r->text, '\n');
	return OK;
}

int rows_finish(struct rows *r, struct buf *out, struct err *err)
{
	static const struct template_options options = { .mode = TEMPLATE_HEADER };
	CLEANUP(buf_free) struct buf all = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	struct err ignored = ERR_INIT;

	if (!r->table) {
		buf_append(out, buf_text(&r->text), r->text.len);
		return buf_ok(out) && buf_ok(&r->text) ? OK : fail_nomem(err);
	}
	/* docker prints what a failing header has given so far. */
	template_execute(r->t, &options, r->header, &all, &ignored);
	buf_putc(&all, '\n');
	buf_append(&all, buf_text(&r->text), r->text.len);
	if (!buf_ok(&all) || !buf_ok(&r->text))
		return fail_nomem(err);
	return table_render((struct text){ buf_text(&all), all.len }, width_is_east_asian(), out, err);
}

void rows_free(struct rows *r)
{
	template_free(r->t);
	free(r->source);
	buf_free(&r->text);
	*r = (struct rows){ 0 };
}

/*
 * What list commands print under --format: a template for each row, as plain
 * lines or as a table with a header (docker-cli.md 1.9).
 *
 * rows_open() understands "table TEMPLATE", "json" and a template, after the
 * command has replaced its own words ("table", "raw", …) by a template. Rows are
 * rendered as they are added; nothing is printed before rows_finish(), so that an
 * error in any row prints none.
 */
#ifndef CLIENT_CLI_FORMAT_ROWS_H
#define CLIENT_CLI_FORMAT_ROWS_H

#include "client/cli/template/template.h"

struct rows {
	char *source; /* of the template */
	struct template *t;
	bool table;
	struct value header; /* name of a field → text of its column */
	struct buf text;
};

/* The columns of a command's table: Go name of a field and its header. */
struct column {
	const char *field, *header;
};

extern const struct value_type type_header;

/* Columns as a map, in the arena. */
struct value columns_value(struct arena *a, const struct column *columns, size_t n);

/* Begins with "table": rows come with a header. */
bool format_is_table(const char *format);

/* E_TEMPLATE "template parsing error: …". Free with rows_free() in any case. */
int rows_open(struct rows *r, const char *format, struct value header, struct err *err);
int rows_add(struct rows *r, struct value row, struct err *err);
int rows_finish(struct rows *r, struct buf *out, struct err *err);
void rows_free(struct rows *r);

#endif

#include "client/cli/format/table.h"

#include "client/cli/format/width.h"

enum { CELL_MIN = 10, PADDING = 3 };

struct cell {
	struct text text;
	size_t width;
};

struct line {
	size_t first; /* of its cells */
	size_t n;     /* >= 1: what follows the last tab is a cell, too */
};

struct table {
	struct cell *cells;
	struct line *lines;
	size_t n_cells, n_lines;
	size_t widths[TABLE_COLUMNS_MAX]; /* of the columns to the left, while writing */
	size_t n_widths;
	struct buf *out;
};

static bool ends_cell(char c)
{
	return c == '\t' || c == '\v';
}

static bool ends_line(char c)
{
	return c == '\n' || c == '\f';
}

static int allocate(struct table *t, struct text in, struct err *err)
{
	size_t cells = 1, lines = 1;

	for (size_t i = 0; i < in.len; i++) {
		lines += ends_line(in.data[i]);
		cells += ends_line(in.data[i]) || ends_cell(in.data[i]);
	}
	t->cells = calloc(cells, sizeof *t->cells);
	t->lines = calloc(lines, sizeof *t->lines);
	return t->cells && t->lines ? OK : fail_nomem(err);
}

static void add_cell(struct table *t, const char *start, const char *end, bool east_asian)
{
	struct text text = { start, (size_t)(end - start) };

	t->cells[t->n_cells++] = (struct cell){ text, width_of(text.data, text.len, east_asian) };
	t->lines[t->n_lines].n++;
}

static void split(struct table *t, struct text in, bool east_asian)
{
	const char *start = in.data, *end = in.data + in.len;

	for (const char *p = in.data; p < end; p++) {
		if (!ends_line(*p) && (!ends_cell(*p) || t->lines[t->n_lines].n >= TABLE_COLUMNS_MAX))
			continue;
		add_cell(t, start, p, east_asian);
		start = p + 1;
		if (ends_line(*p))
			t->lines[++t->n_lines].first = t->n_cells;
	}
	add_cell(t, start, end, east_asian);
	t->n_lines++;
}

static void put_blanks(struct buf *out, size_t n)
{
	char *room = n ? buf_reserve(out, n) : NULL;

	if (!room)
		return;
	memset(room, ' ', n);
	out->len += n;
	out->data[out->len] = 0;
}

static void write_line(struct table *t, const struct line *line)
{
	for (size_t i = 0; i < line->n; i++) {
		const struct cell *c = &t->cells[line->first + i];

		buf_append(t->out, c->text.data, c->text.len);
		if (i < t->n_widths && t->widths[i] > c->width)
			put_blanks(t->out, t->widths[i] - c->width);
	}
}

static void write_lines(struct table *t, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		write_line(t, &t->lines[i]);
		if (i + 1 < t->n_lines)
			buf_putc(t->out, '\n');
	}
}

static bool has_column(const struct table *t, size_t line, size_t column)
{
	return column + 1 < t->lines[line].n;
}

/* Writes lines [from, to), in which the columns to the left are one block. */
static void write_block(struct table *t, size_t from, size_t to)
{
	size_t column = t->n_widths;

	for (size_t i = from; i < to;) {
		size_t width = CELL_MIN, end = i;

		for (; end < to && has_column(t, end, column); end++) {
			size_t wanted = t->cells[t->lines[end].first + column].width + PADDING;

			width = wanted > width ? wanted : width;
		}
		if (end == i) {
			i++;
			continue;
		}
		write_lines(t, from, i);
		t->widths[t->n_widths++] = width;
		write_block(t, i, end);
		t->n_widths--;
		from = i = end;
	}
	write_lines(t, from, to);
}

int table_render(struct text in, bool east_asian, struct buf *out, struct err *err)
{
	struct table t = { .out = out };
	int r = allocate(&t, in, err);

	if (!r) {
		split(&t, in, east_asian);
		write_block(&t, 0, t.n_lines);
		r = buf_ok(out) ? OK : fail_nomem(err);
	}
	free(t.cells);
	free(t.lines);
	return r;
}

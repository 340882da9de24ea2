/*
 * A table that is drawn over itself: a line that counts, a line for each step and transfer with
 * its time at the right, and below a step that runs the last lines that it wrote.
 */
#include "client/cli/build/display.h"
#include "client/cli/format/width.h"

enum {
	NS = 1000 * 1000 * 1000,
	LOG_LINES = 6,	 /* of a step that runs */
	LOG_MARGIN = 10, /* of such a line */
	NARROWEST = 12,	 /* a name that says something */
	STATUS_ROOM = 20,
	WIDTH_MAX = 1000,
};

#define BLUE "\033[34m"
#define RED "\033[31m"
#define YELLOW "\033[33m"
#define FAINT "\033[2m"
#define PLAIN "\033[0m"

struct row {
	const struct trace_vertex *vertex;
	const struct trace_status *status; /* NULL: the vertex itself */
};

/* ---- texts that fit -------------------------------------------------------------------------- */

/* What no terminal takes for a command, and at most `cells` of it. */
static size_t put_cut(struct buf *out, const char *text, size_t cells)
{
	size_t len = strlen(text), used = 0;

	while (len) {
		uint32_t rune;
		size_t n = rune_decode(text, len, &rune);
		size_t width = width_of(text, n, false);

		if (used + width > cells)
			break;
		if (!rune_is_control(rune)) {
			buf_append(out, text, n);
			used += width;
		}
		text += n;
		len -= n;
	}
	return used;
}

static void put_blanks(struct buf *out, size_t n)
{
	while (n--)
		buf_putc(out, ' ');
}

static const char *colour(const struct build_progress *p, const char *escape)
{
	return p->options.colours ? escape : "";
}

static size_t columns(const struct build_progress *p)
{
	int width = p->options.width;

	return width < 1 ? 80 : width > WIDTH_MAX ? WIDTH_MAX : (size_t)width;
}

/* ---- rows ------------------------------------------------------------------------------------- */

static const char *prefix_of(const struct row *r)
{
	if (r->status)
		return "=> ";
	switch (r->vertex->state) {
	case IMAGED__V1__STEP__STATE__STATE_CACHED:
		return "CACHED ";
	case IMAGED__V1__STEP__STATE__STATE_FAILED:
		return "ERROR ";
	case IMAGED__V1__STEP__STATE__STATE_CANCELED:
		return "CANCELED ";
	default:
		return "";
	}
}

static const char *colour_of(const struct row *r)
{
	if (r->status)
		return r->status->done ? BLUE : "";
	switch (r->vertex->state) {
	case IMAGED__V1__STEP__STATE__STATE_FAILED:
		return RED;
	case IMAGED__V1__STEP__STATE__STATE_CANCELED:
		return YELLOW;
	default:
		return vertex_has_ended(r->vertex) ? BLUE : "";
	}
}

static double seconds_of(const struct row *r, int64_t now_ns)
{
	const struct trace_status *s = r->status;

	if (!s)
		return vertex_seconds(r->vertex, now_ns);
	return (double)((s->done || vertex_has_ended(r->vertex) ? s->last : now_ns) - s->started) / NS;
}

static void put_sizes(char out[2 * TRANSFER_TEXT_MAX + 4], const struct trace_status *s)
{
	char current[TRANSFER_TEXT_MAX], total[TRANSFER_TEXT_MAX];

	out[0] = 0;
	if (s && s->total)
		snprintf(out, 2 * TRANSFER_TEXT_MAX + 4, "%s / %s", transfer_bytes(s->current, current),
			 transfer_bytes(s->total, total));
	else if (s && s->current)
		snprintf(out, 2 * TRANSFER_TEXT_MAX + 4, "%s", transfer_bytes(s->current, current));
}

/* " => NAME SIZES      1.2s"; false: the terminal is too narrow for anything. */
static bool put_row(struct build_progress *p, const struct row *r, int64_t now_ns)
{
	char sizes[2 * TRANSFER_TEXT_MAX + 4], timer[64];
	size_t width = columns(p), used, taken;
	const char *code = colour(p, colour_of(r)), *prefix = prefix_of(r);
	CLEANUP(buf_free) struct buf name = BUF_INIT(TRACE_LINE_MAX * 2);

	snprintf(timer, sizeof timer, " %3.1fs", seconds_of(r, now_ns));
	put_sizes(sizes, r->status);
	taken = 4 + strlen(timer) + 2;
	if (width < taken + NARROWEST)
		return false;
	if (width - taken + strlen(sizes) <= STATUS_ROOM || width - taken < strlen(sizes) + 1 + NARROWEST)
		sizes[0] = 0;
	taken += *sizes ? strlen(sizes) + 1 : 0;
	buf_printf(&name, "%s%s", prefix, r->status ? r->status->id : r->vertex->name ? r->vertex->name : "");
	buf_printf(&p->out, "%s => ", code);
	used = put_cut(&p->out, buf_text(&name), width - taken);
	if (*sizes)
		buf_printf(&p->out, " %s", sizes);
	put_blanks(&p->out, width - taken - used + 1);
	buf_printf(&p->out, "%s\n%s", timer, *code ? PLAIN : "");
	return true;
}

/* The text of a line that was logged, without its time; what stands behind the last carriage
 * return is what a terminal would show. */
static const char *shown_text(const char *line)
{
	const char *text = strchr(line, ' '), *last;

	text = text ? text + 1 : line;
	last = strrchr(text, '\r');
	return last && last[1] ? last + 1 : text;
}

static void put_log_line(struct build_progress *p, const char *text)
{
	size_t room = columns(p) > LOG_MARGIN ? columns(p) - LOG_MARGIN : 0, used;

	buf_printf(&p->out, "%s => => # ", colour(p, FAINT));
	used = put_cut(&p->out, text, room);
	put_blanks(&p->out, room - used);
	buf_printf(&p->out, "\n%s", colour(p, PLAIN));
}

static bool is_blank_text(const char *text)
{
	return !text[strspn(text, " \t\r")];
}

static size_t log_lines(const struct trace_vertex *v)
{
	size_t n = 0, first = v->n_lines > LOG_LINES ? v->n_lines - LOG_LINES : 0;

	for (size_t i = first; vertex_runs(v) && i < v->n_lines; i++)
		n += v->tail[i % TRACE_TAIL] && !is_blank_text(shown_text(v->tail[i % TRACE_TAIL]));
	return n + (vertex_runs(v) && v->line.len > 0);
}

static int put_log(struct build_progress *p, const struct trace_vertex *v)
{
	size_t first = v->n_lines > LOG_LINES ? v->n_lines - LOG_LINES : 0;
	int lines = 0;

	for (size_t i = first; i < v->n_lines; i++) {
		const char *line = v->tail[i % TRACE_TAIL];

		if (!line || is_blank_text(shown_text(line)))
			continue;
		put_log_line(p, shown_text(line));
		lines++;
	}
	if (v->line.len) {
		const char *last = strrchr(buf_text(&v->line), '\r');

		put_log_line(p, last && last[1] ? last + 1 : buf_text(&v->line));
		lines++;
	}
	return lines;
}

/* ---- the table -------------------------------------------------------------------------------- */

static void put_head(struct build_progress *p, bool last, int64_t now_ns)
{
	char left[128];
	size_t done = 0, width = columns(p), driver = p->options.driver ? strlen(p->options.driver) : 0, used;

	for (size_t i = 0; i < p->trace.n; i++)
		done += vertex_has_ended(p->trace.vertices[i]);
	snprintf(left, sizeof left, "[+] Building %.1fs (%zu/%zu)%s", (double)(now_ns - p->began) / NS, done,
		 p->trace.n, last && done == p->trace.n ? " FINISHED" : "");
	used = put_cut(&p->out, left, width - 1);
	if (used + driver + 1 < width) {
		put_blanks(&p->out, width - 1 - used - driver);
		buf_puts(&p->out, driver ? p->options.driver : "");
	}
	buf_putc(&p->out, '\n');
}

static size_t rows_of(const struct trace_vertex *v)
{
	return v->started ? 1 + v->n_statuses + log_lines(v) : 0;
}

/* Where the terminal ends, what has ended longest ago goes first. */
static size_t rows_to_leave_out(const struct build_progress *p, bool last)
{
	size_t all = 0, room = p->options.height > 3 ? (size_t)p->options.height - 2 : SIZE_MAX;

	for (size_t i = 0; i < p->trace.n; i++)
		all += rows_of(p->trace.vertices[i]);
	return last || all <= room ? 0 : all - room;
}

static int put_vertex(struct build_progress *p, const struct trace_vertex *v, int64_t now_ns)
{
	struct row row = { .vertex = v };
	int lines = put_row(p, &row, now_ns);

	for (size_t i = 0; i < v->n_statuses; i++) {
		row.status = &v->statuses[i];
		lines += put_row(p, &row, now_ns);
	}
	return vertex_runs(v) ? lines + put_log(p, v) : lines;
}

static int put_rows(struct build_progress *p, bool last, int64_t now_ns)
{
	size_t leave = rows_to_leave_out(p, last);
	int lines = 0;

	for (size_t i = 0; i < p->trace.n; i++) {
		const struct trace_vertex *v = p->trace.vertices[i];
		size_t rows = rows_of(v);

		if (!rows)
			continue;
		if (leave && vertex_has_ended(v)) {
			leave -= leave < rows ? leave : rows;
			continue;
		}
		lines += put_vertex(p, v, now_ns);
	}
	return lines;
}

static void put_again(struct buf *out, const char *escape, int n)
{
	while (n-- > 0)
		buf_puts(out, escape);
}

/* What the table before had below this one. */
static void wipe_rest(struct build_progress *p, int lines)
{
	int more = p->lines - lines;

	for (int i = 0; i < more; i++) {
		put_blanks(&p->out, columns(p));
		buf_putc(&p->out, '\n');
	}
	put_again(&p->out, "\033[1A", more);
	if (more > 0)
		buf_puts(&p->out, "\033[0G");
}

void tty_show(struct build_progress *p, bool last, int64_t now_ns)
{
	int lines;

	put_again(&p->out, "\033[1A", p->repeat ? p->lines : 1);
	buf_puts(&p->out, p->repeat ? "\033[0G\033[?25l" : "\033[1B\033[0G\033[?25l");
	put_head(p, last, now_ns);
	lines = 1 + put_rows(p, last, now_ns);
	if (p->repeat)
		wipe_rest(p, lines);
	buf_puts(&p->out, "\033[?25h");
	p->lines = lines;
	p->repeat = true;
	for (size_t i = 0; i < p->trace.n; i++)
		buf_reset(&p->trace.vertices[i]->pending);
}

void tty_break(struct build_progress *p)
{
	p->repeat = false;
	p->lines = 0;
}

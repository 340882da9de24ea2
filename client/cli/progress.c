#include "client/cli/progress.h"

#include <stdarg.h>

#include "client/cli/format/units.h"

enum { BAR_MIN_WIDTH = 110, BAR_CELLS = 50, STATUS_LINE_MAX = 1024 };

static void forget(struct progress *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->ids[i]);
	free(p->ids);
	p->ids = NULL;
	p->n = 0;
}

void progress_free(struct progress *p)
{
	forget(p);
}

static void put_cells(struct buf *out, char c, int n)
{
	while (n-- > 0)
		buf_putc(out, c);
}

void progress_bar(struct buf *out, const struct progress_count *count, int width)
{
	char current[SIZE_TEXT_MAX], total[SIZE_TEXT_MAX];
	int half;

	if (count->current <= 0 && count->total <= 0)
		return;
	size_text((double)count->current, 4, current);
	if (count->total <= 0) {
		buf_printf(out, "%8s", current);
		return;
	}
	half = (int)((double)count->current / (double)count->total * 100) / 2;
	half = half > BAR_CELLS ? BAR_CELLS : half;
	if (width > BAR_MIN_WIDTH) {
		buf_putc(out, '[');
		put_cells(out, '=', half);
		buf_putc(out, '>');
		put_cells(out, ' ', BAR_CELLS - half);
		buf_puts(out, "] ");
	}
	if (count->current > count->total)
		buf_printf(out, "%8s", current);
	else
		buf_printf(out, "%8s/%s", current, size_text((double)count->total, 4, total));
}

/* The line of an ID, counted from the first; a new one is added at the end. */
static int find_line(struct progress *p, const char *id, size_t *ret_line, bool *ret_new, struct err *err)
{
	char **ids, *copy;

	for (size_t i = 0; i < p->n; i++)
		if (!strcmp(p->ids[i], id)) {
			*ret_line = i;
			*ret_new = false;
			return OK;
		}
	copy = strdup(id);
	ids = copy ? reallocarray(p->ids, p->n + 1, sizeof *ids) : NULL;
	if (!ids) {
		free(copy);
		return fail_nomem(err);
	}
	p->ids = ids;
	ids[p->n] = copy;
	*ret_line = p->n++;
	*ret_new = true;
	return OK;
}

static int rewrite(struct progress *p, const char *id, const char *status, const struct progress_count *count,
		   struct err *err)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(STATUS_LINE_MAX);
	size_t line = 0;
	bool is_new = false;
	int r = find_line(p, id, &line, &is_new, err);

	if (r)
		return r;
	if (is_new)
		buf_putc(&out, '\n');
	buf_printf(&out, "\033[%zuA\033[2K\r%s: %s ", p->n - line, id, status);
	if (p->measure)
		p->width = p->measure();
	if (count)
		progress_bar(&out, count, p->width);
	buf_printf(&out, "\r\033[%zuB", p->n - line);
	p->write(buf_text(&out), out.len);
	return OK;
}

int progress_status(struct progress *p, const char *id, const char *status, const struct progress_count *count,
		    struct err *err)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(STATUS_LINE_MAX);

	if (p->terminal)
		return rewrite(p, id, status, count, err);
	if (count && (count->current > 0 || count->total > 0))
		return OK;
	buf_printf(&out, "%s: %s\n", id, status);
	p->write(buf_text(&out), out.len);
	return OK;
}

void progress_line(struct progress *p, const char *fmt, ...)
{
	char line[STATUS_LINE_MAX * 4];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof line - 1, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if (n > (int)sizeof line - 2)
		n = (int)sizeof line - 2;
	line[n] = '\n';
	forget(p);
	p->write(line, (size_t)n + 1);
}

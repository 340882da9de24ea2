#include "client/cli/build/progress.h"

#include "client/cli/build/display.h"
#include "client/cli/format/plain_text.h"
#include "client/cli/message_json.h"

enum { NS_PER_MS = 1000 * 1000, OUT_MAX = 64 * 1024 * 1024 };

static void flush(struct build_progress *p)
{
	if (p->out.len)
		p->options.write(p->options.arg, p->out.data, p->out.len);
	buf_reset(&p->out);
	p->out.failed = false;
}

int build_progress_new(const struct build_progress_options *options, struct build_progress **ret_progress,
		       struct err *err)
{
	struct build_progress *p = calloc(1, sizeof *p);

	if (!p)
		return fail_nomem(err);
	p->options = *options;
	p->out = (struct buf)BUF_INIT(OUT_MAX);
	*ret_progress = p;
	return OK;
}

void build_progress_free(struct build_progress *p)
{
	if (!p)
		return;
	trace_free(&p->trace);
	buf_free(&p->out);
	free(p);
}

void build_progress_freep(struct build_progress **p)
{
	build_progress_free(*p);
}

void display_log(struct build_progress *p, const char *text, size_t len)
{
	if (p->options.is_terminal)
		put_plain_log(&p->out, text, len);
	else
		buf_append(&p->out, text, len);
}

static void drop_lines(struct trace *t)
{
	for (size_t i = 0; i < t->n; i++)
		buf_reset(&t->vertices[i]->pending);
}

static void show(struct build_progress *p, bool last, int64_t now_ns)
{
	if (p->options.mode == BUILD_PROGRESS_PLAIN)
		plain_show(p, now_ns);
	else if (p->options.mode == BUILD_PROGRESS_TTY)
		tty_show(p, last, now_ns);
	else
		drop_lines(&p->trace);
	p->displayed = now_ns;
	flush(p);
}

static void show_if_due(struct build_progress *p, int64_t now_ns)
{
	if (!p->began)
		p->began = now_ns;
	if (now_ns - p->displayed >= (int64_t)BUILD_PROGRESS_TICK_MS * NS_PER_MS)
		show(p, false, now_ns);
}

int build_progress_event(struct build_progress *p, const Imaged__V1__BuildEvent *event, int64_t now_ns, struct err *err)
{
	bool taken;
	int r;

	if (p->options.mode == BUILD_PROGRESS_JSON) {
		event_json(&event->base, &p->out);
		flush(p);
		return OK;
	}
	r = trace_event(&p->trace, event, now_ns, &taken, err);
	if (!p->began)
		p->began = now_ns;
	if (r < 0 || !taken)
		return r;
	if (p->options.mode == BUILD_PROGRESS_RAWJSON) {
		rawjson_show(p, event, now_ns);
		flush(p);
	}
	if (trace_has_much(&p->trace))
		show(p, false, now_ns);
	else if (p->displayed) /* the first ones together */
		show_if_due(p, now_ns);
	return OK;
}

void build_progress_tick(struct build_progress *p, int64_t now_ns)
{
	show_if_due(p, now_ns);
}

void build_progress_resize(struct build_progress *p, int width, int height)
{
	p->options.width = width;
	p->options.height = height;
}

void build_progress_break(struct build_progress *p, int64_t now_ns)
{
	show(p, false, now_ns);
	if (p->options.mode == BUILD_PROGRESS_TTY)
		tty_break(p);
	flush(p);
}

/* ---- the end -------------------------------------------------------------------------------- */

static void put_failure(struct build_progress *p, const struct trace_vertex *v)
{
	size_t first = v->n_lines > TRACE_TAIL ? v->n_lines - TRACE_TAIL : 0;

	buf_puts(&p->out, "------\n > ");
	put_plain(&p->out, v->name ? v->name : "");
	buf_puts(&p->out, ":\n");
	for (size_t i = first; i < v->n_lines; i++)
		if (v->tail[i % TRACE_TAIL]) {
			display_log(p, v->tail[i % TRACE_TAIL], strlen(v->tail[i % TRACE_TAIL]));
			buf_putc(&p->out, '\n');
		}
	buf_puts(&p->out, "------\n");
}

static void put_failures(struct build_progress *p)
{
	for (size_t i = 0; i < p->trace.n; i++)
		if (p->trace.vertices[i]->state == IMAGED__V1__STEP__STATE__STATE_FAILED)
			put_failure(p, p->trace.vertices[i]);
}

static void put_places(struct build_progress *p)
{
	for (size_t i = 0; i < p->trace.n_warnings; i++)
		if (p->trace.warnings[i].is_error && p->trace.warnings[i].excerpt)
			put_plain(&p->out, p->trace.warnings[i].excerpt);
}

static void put_warning(struct build_progress *p, const struct trace_warning *w)
{
	buf_puts(&p->out, " - ");
	put_plain(&p->out, w->text);
	buf_putc(&p->out, '\n');
	if (p->options.expand)
		return;
	put_plain(&p->out, w->description);
	buf_puts(&p->out, *w->description ? "\n" : "");
	buf_puts(&p->out, *w->url ? "More info: " : "");
	put_plain(&p->out, w->url);
	buf_puts(&p->out, *w->url ? "\n" : "");
	if (w->excerpt)
		put_plain(&p->out, w->excerpt);
	buf_putc(&p->out, '\n');
}

static void put_warnings(struct build_progress *p)
{
	const struct trace *t = &p->trace;
	bool colours = p->options.colours;
	size_t n = 0;

	for (size_t i = 0; i < t->n_warnings; i++)
		n += !t->warnings[i].is_error;
	if (!n)
		return;
	buf_printf(&p->out, "\n %s%zu warning%s found", colours ? "\033[33m" : "", n, n > 1 ? "s" : "");
	if (p->options.expand)
		buf_printf(&p->out, " (%s)", p->options.expand);
	buf_printf(&p->out, ":\n%s", colours ? "\033[0m" : "");
	for (size_t i = 0; i < t->n_warnings; i++)
		if (!t->warnings[i].is_error)
			put_warning(p, &t->warnings[i]);
}

static void put_change(struct buf *out, const char *name, const char *text)
{
	buf_puts(out, " - ");
	put_plain(out, name);
	buf_puts(out, ": ");
	put_plain(out, text);
	buf_putc(out, '\n');
}

/* The terminal's table has no place for it. */
static void put_changes(struct build_progress *p)
{
	bool any = false;

	for (size_t i = 0; i < p->trace.n; i++) {
		const struct trace_vertex *v = p->trace.vertices[i];

		if (v->n_changed && !any)
			buf_puts(&p->out, "\nNot cached:\n");
		any |= v->n_changed > 0;
		for (size_t k = 0; k < v->n_changed; k++)
			put_change(&p->out, v->name ? v->name : "", v->changed[k]);
	}
}

void build_progress_end(struct build_progress *p, bool canceled, int64_t now_ns)
{
	enum build_progress_mode mode = p->options.mode;

	if (!p->began)
		p->began = now_ns;
	trace_end(&p->trace, canceled, now_ns);
	show(p, true, now_ns);
	if (mode == BUILD_PROGRESS_PLAIN || mode == BUILD_PROGRESS_TTY) {
		put_failures(p);
		if (mode == BUILD_PROGRESS_TTY)
			put_changes(p);
		put_warnings(p);
	}
	if (mode != BUILD_PROGRESS_RAWJSON)
		put_places(p);
	flush(p);
}

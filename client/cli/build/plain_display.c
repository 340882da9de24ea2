/*
 * Lines with numbers. One step is current: its lines come as they are made, until it ends or
 * others have waited too long. Those that ended are shown first, in the order of their ends.
 */
#include "client/cli/build/display.h"
#include "client/cli/format/plain_text.h"

enum { NS = 1000 * 1000 * 1000, WAIT_S = 5 };

/* In front of the first step. */
static void put_title(struct build_progress *p)
{
	if (p->first_is_out || !p->options.title)
		return;
	buf_printf(&p->out, "#0 %s\n", p->options.title);
	p->first_is_out = true;
}

static void put_worded(struct buf *out, const struct trace_vertex *v, const char *word, const char *text)
{
	buf_printf(out, "#%u %s", v->shown, word);
	put_plain(out, text);
	buf_putc(out, '\n');
}

static void put_line(struct buf *out, const struct trace_vertex *v, const char *text)
{
	put_worded(out, v, "", text);
}

static void leave_current(struct build_progress *p)
{
	if (p->current)
		put_line(&p->out, p->current, "...");
	p->current = NULL;
}

static void enter(struct build_progress *p, struct trace_vertex *v, int64_t now_ns)
{
	if (!v->shown)
		v->shown = ++p->shown;
	if (p->current == v)
		return;
	leave_current(p);
	put_title(p);
	if (p->first_is_out)
		buf_putc(&p->out, '\n');
	p->first_is_out = true;
	put_line(&p->out, v, v->name ? v->name : "");
	p->current = v;
	p->current_since = now_ns;
}

static void put_status(struct buf *out, const struct trace_vertex *v, struct trace_status *s)
{
	char current[TRANSFER_TEXT_MAX], total[TRANSFER_TEXT_MAX];
	double seconds = (double)(s->last - s->started) / NS;

	buf_printf(out, "#%u ", v->shown);
	put_plain(out, s->id);
	if (s->total)
		buf_printf(out, " %s / %s", transfer_bytes(s->current, current), transfer_bytes(s->total, total));
	else if (s->current)
		buf_printf(out, " %s", transfer_bytes(s->current, current));
	if (seconds > 0.01)
		buf_printf(out, " %.1fs", seconds);
	buf_puts(out, s->done ? " done\n" : "\n");
	s->changed = false;
}

static void put_log(struct build_progress *p, struct trace_vertex *v)
{
	const char *at = buf_text(&v->pending), *end = at + v->pending.len;

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t len = newline ? (size_t)(newline - at) + 1 : (size_t)(end - at);

		buf_printf(&p->out, "#%u ", v->shown);
		display_log(p, at, len);
		at += len;
	}
	buf_reset(&v->pending);
	v->pending.failed = false;
}

static void put_end(struct buf *out, const struct trace_vertex *v, int64_t now_ns)
{
	switch (v->state) {
	case IMAGED__V1__STEP__STATE__STATE_CACHED:
		put_line(out, v, "CACHED");
		break;
	case IMAGED__V1__STEP__STATE__STATE_FAILED:
		if (v->error)
			put_worded(out, v, "ERROR: ", v->error);
		break;
	case IMAGED__V1__STEP__STATE__STATE_CANCELED:
		put_line(out, v, "CANCELED");
		break;
	default:
		buf_printf(out, "#%u DONE %.1fs\n", v->shown, vertex_seconds(v, now_ns));
	}
}

static void put_changed(struct buf *out, struct trace_vertex *v)
{
	for (; v->changed_shown < v->n_changed; v->changed_shown++)
		put_worded(out, v, "CHANGED: ", v->changed[v->changed_shown]);
}

static bool is_definition(const struct trace_vertex *v)
{
	return v->name && !strncmp(v->name, "[internal] load build definition", 32);
}

/* Linters speak of the Dockerfile, so where it was loaded. */
static void put_warnings(struct build_progress *p, const struct trace_vertex *v)
{
	for (size_t i = 0; is_definition(v) && i < p->trace.n_warnings; i++) {
		struct trace_warning *w = &p->trace.warnings[i];

		if (!w->shown && !w->is_error)
			put_worded(&p->out, v, "WARN: ", w->text);
		w->shown = true;
	}
}

static void show_vertex(struct build_progress *p, struct trace_vertex *v, int64_t now_ns)
{
	enter(p, v, now_ns);
	for (size_t i = 0; i < v->n_statuses; i++)
		if (v->statuses[i].changed)
			put_status(&p->out, v, &v->statuses[i]);
	put_warnings(p, v);
	put_log(p, v);
	put_changed(&p->out, v);
	if (vertex_has_ended(v)) {
		put_end(&p->out, v, now_ns);
		p->current = NULL;
	}
	v->updated = false;
}

/* The one that ended first, of those not yet shown so. */
static struct trace_vertex *next_ended(const struct build_progress *p)
{
	struct trace_vertex *first = NULL;

	if (p->current && p->current->updated && vertex_has_ended(p->current))
		return p->current;
	for (size_t i = 0; i < p->trace.n; i++) {
		struct trace_vertex *v = p->trace.vertices[i];

		if (v->updated && vertex_has_ended(v) && (!first || v->ended < first->ended))
			first = v;
	}
	return first;
}

/* Of those that run and have something new, the one with the most to say. */
static struct trace_vertex *busiest(const struct build_progress *p)
{
	struct trace_vertex *most = NULL;

	for (size_t i = 0; i < p->trace.n; i++) {
		struct trace_vertex *v = p->trace.vertices[i];

		if (v != p->current && v->updated && vertex_runs(v) && (!most || v->pending.len > most->pending.len))
			most = v;
	}
	return most;
}

static bool must_switch(const struct build_progress *p, const struct trace_vertex *other, int64_t now_ns)
{
	if (!other)
		return false;
	return !p->current || other->pending.len > TRACE_MUCH || now_ns - p->current_since > (int64_t)WAIT_S * NS;
}

/* A warning about a Dockerfile whose step has ended already is that step's all the same. */
static void wake_definition(struct build_progress *p)
{
	for (size_t i = 0; i < p->trace.n_warnings; i++)
		if (!p->trace.warnings[i].shown && !p->trace.warnings[i].is_error) {
			for (size_t k = 0; k < p->trace.n; k++)
				p->trace.vertices[k]->updated |= is_definition(p->trace.vertices[k]);
			return;
		}
}

void plain_show(struct build_progress *p, int64_t now_ns)
{
	struct trace_vertex *v;

	wake_definition(p);
	while ((v = next_ended(p)))
		show_vertex(p, v, now_ns);
	if (p->current && p->current->updated)
		show_vertex(p, p->current, now_ns);
	v = busiest(p);
	if (must_switch(p, v, now_ns))
		show_vertex(p, v, now_ns);
}

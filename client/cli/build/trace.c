#include "client/cli/build/trace.h"

#include <stdio.h>

enum { NS = 1000 * 1000 * 1000 };

/* Between 1970 and 2116, so that sums and differences of a few fit. */
int64_t trace_time(const Google__Protobuf__Timestamp *t, int64_t otherwise)
{
	if (!t)
		return otherwise;
	if (t->seconds < 0 || t->nanos < 0)
		return 0;
	return t->seconds < TRACE_TIME_MAX / NS - 1 ? t->seconds * NS + t->nanos % NS : TRACE_TIME_MAX;
}

static void spend(struct trace_vertex *v, int64_t from, int64_t to)
{
	if (to > from && v->spent < TRACE_TIME_MAX)
		v->spent += to - from;
}

/* Room for one more of `n`; doubles. */
static int grow(void *items, size_t n, size_t *capacity, size_t size, size_t max, struct err *err)
{
	size_t larger = *capacity ? *capacity * 2 : 8;
	void *moved;

	if (n < *capacity)
		return OK;
	if (n >= max)
		return fail(err, E_LIMIT, "the build tells of more than can be shown");
	moved = reallocarray(*(void **)items, larger, size);
	if (!moved)
		return fail_nomem(err);
	*(void **)items = moved;
	*capacity = larger;
	return OK;
}

/* ---- steps ------------------------------------------------------------------------------ */

static void vertex_free(struct trace_vertex *v)
{
	for (size_t i = 0; i < v->n_statuses; i++)
		free(v->statuses[i].id);
	for (size_t i = 0; i < v->n_changed; i++)
		free(v->changed[i]);
	for (size_t i = 0; i < TRACE_TAIL; i++)
		free(v->tail[i]);
	free(v->statuses);
	free(v->changed);
	buf_free(&v->line);
	buf_free(&v->pending);
	free(v->name);
	free(v->digest);
	free(v->error);
	free(v);
}

static struct trace_vertex *find(const struct trace *t, uint32_t number)
{
	for (size_t i = t->n; i-- > 0;) /* the later ones are the busy ones */
		if (t->vertices[i]->number == number)
			return t->vertices[i];
	return NULL;
}

static int add_vertex(struct trace *t, uint32_t number, struct trace_vertex **ret_vertex, struct err *err)
{
	int r = grow(&t->vertices, t->n, &t->capacity, sizeof(struct trace_vertex *), TRACE_VERTICES_MAX, err);
	struct trace_vertex *v = r == OK ? calloc(1, sizeof *v) : NULL;

	if (!v)
		return r == OK ? fail_nomem(err) : r;
	v->number = number;
	v->line = (struct buf)BUF_INIT(TRACE_LINE_MAX);
	v->pending = (struct buf)BUF_INIT(TRACE_PENDING_MAX);
	t->vertices[t->n++] = *ret_vertex = v;
	return OK;
}

static int vertex_of(struct trace *t, uint32_t number, struct trace_vertex **ret_vertex, struct err *err)
{
	*ret_vertex = find(t, number);
	t->latest = *ret_vertex;
	if (*ret_vertex)
		return OK;
	if (add_vertex(t, number, ret_vertex, err) < 0)
		return err->code;
	t->latest = *ret_vertex;
	return OK;
}

static int keep_text(char **target, const char *text, struct err *err)
{
	char *copy;

	if (!text || !*text)
		return OK;
	copy = strdup(text);
	if (!copy)
		return fail_nomem(err);
	free(*target);
	*target = copy;
	return OK;
}

static int keep_changed(struct trace_vertex *v, const Imaged__V1__Step *m, struct err *err)
{
	if (!m->n_changed || v->changed)
		return OK;
	v->changed = calloc(m->n_changed, sizeof *v->changed);
	if (!v->changed)
		return fail_nomem(err);
	for (; v->n_changed < m->n_changed; v->n_changed++) {
		v->changed[v->n_changed] = strdup(m->changed[v->n_changed]);
		if (!v->changed[v->n_changed])
			return fail_nomem(err);
	}
	return OK;
}

/* A line that is complete: for the display, and for the case of a failure. */
static void end_line(struct trace_vertex *v)
{
	double seconds = (double)v->line_time / NS;
	int precision = seconds < 10 ? 3 : seconds < 100 ? 2 : 1;
	char **place = &v->tail[v->n_lines++ % TRACE_TAIL];

	free(*place);
	*place = format("%.*f %s", precision, seconds, buf_text(&v->line));
	if (*place) {
		buf_puts(&v->pending, *place);
		buf_putc(&v->pending, '\n');
	}
	buf_reset(&v->line);
	v->updated = true;
}

static void settle(struct trace_vertex *v)
{
	if (v->line.len)
		end_line(v);
}

static void begin_vertex(struct trace_vertex *v, const Imaged__V1__Step *m, int64_t now_ns)
{
	if (vertex_runs(v))
		return;
	v->started = trace_time(m->started, now_ns);
	v->ended = 0;
	v->seen = now_ns;
	free(TAKE(v->error));
}

static void end_vertex(struct trace_vertex *v, const Imaged__V1__Step *m, int64_t now_ns)
{
	if (!v->started)
		v->started = trace_time(m->started, now_ns);
	v->ended = trace_time(m->ended, now_ns);
	spend(v, v->started, v->ended);
	settle(v);
}

static int on_step(struct trace *t, const Imaged__V1__Step *m, int64_t now_ns, struct err *err)
{
	struct trace_vertex *v;
	bool is_new = !find(t, m->number);
	int r = vertex_of(t, m->number, &v, err);

	if (r == OK)
		r = keep_text(&v->name, m->name, err);
	if (r == OK && is_new)
		trace_place(t, v);
	if (r == OK)
		r = keep_text(&v->digest, m->digest, err);
	if (r < 0)
		return r;
	if (m->state == IMAGED__V1__STEP__STATE__STATE_RUNNING)
		begin_vertex(v, m, now_ns);
	else if (m->state != IMAGED__V1__STEP__STATE__STATE_UNSPECIFIED)
		end_vertex(v, m, now_ns);
	v->state = m->state;
	v->updated = true;
	r = keep_text(&v->error, m->error, err);
	return r == OK ? keep_changed(v, m, err) : r;
}

/* ---- what steps write ---------------------------------------------------------------------- */

static void add_text(struct trace_vertex *v, int64_t since, const uint8_t *data, size_t len)
{
	while (len) {
		size_t room = TRACE_LINE_MAX - 1 - v->line.len;
		size_t part = len < room ? len : room;

		if (!v->line.len)
			v->line_time = since;
		buf_append(&v->line, data, part);
		if (v->line.len == TRACE_LINE_MAX - 1)
			end_line(v);
		data += part;
		len -= part;
	}
}

static void add_lines(struct trace_vertex *v, int64_t since, const uint8_t *data, size_t len)
{
	while (len) {
		const uint8_t *newline = memchr(data, '\n', len);
		size_t part = newline ? (size_t)(newline - data) : len;

		add_text(v, since, data, part);
		if (newline && !v->line.len)
			v->line_time = since;
		if (newline)
			end_line(v);
		part += newline != NULL;
		data += part;
		len -= part;
	}
}

static int on_log(struct trace *t, const Imaged__V1__StepLog *m, int64_t now_ns, struct err *err)
{
	struct trace_vertex *v;
	int64_t since;

	if (vertex_of(t, m->step, &v, err) < 0)
		return err->code;
	since = trace_time(m->time, now_ns) - v->started;
	add_lines(v, since > 0 ? since : 0, m->data.data, m->data.len);
	return OK;
}

/* ---- transfers ----------------------------------------------------------------------------- */

static struct trace_status *find_status(struct trace_vertex *v, const char *id)
{
	for (size_t i = 0; i < v->n_statuses; i++)
		if (!strcmp(v->statuses[i].id, id))
			return &v->statuses[i];
	return NULL;
}

static int add_status(struct trace_vertex *v, const char *id, int64_t now_ns, struct trace_status **ret_status,
		      struct err *err)
{
	int r = grow(&v->statuses, v->n_statuses, &v->statuses_capacity, sizeof *v->statuses, TRACE_STATUSES_MAX, err);
	char *copy = r == OK ? strdup(id) : NULL;

	if (!copy)
		return r == OK ? fail_nomem(err) : r;
	*ret_status = &v->statuses[v->n_statuses++];
	**ret_status = (struct trace_status){ .id = copy, .started = now_ns };
	return OK;
}

static int on_progress(struct trace *t, const Imaged__V1__StepProgress *m, int64_t now_ns, struct err *err)
{
	struct trace_vertex *v;
	struct trace_status *s;
	int r = vertex_of(t, m->step, &v, err);

	if (r < 0)
		return r;
	s = find_status(v, m->what);
	if (!s && add_status(v, m->what, now_ns, &s, err) < 0)
		return err->code;
	s->current = m->current;
	s->total = m->total;
	s->done = m->done;
	s->last = now_ns;
	s->changed = v->updated = true;
	return OK;
}

/* ---- warnings ------------------------------------------------------------------------------- */

static char *warning_text(const Imaged__V1__BuildWarning *m)
{
	if (m->first_line)
		return format("%s%s%s (line %u)", m->rule, *m->rule ? ": " : "", m->message, m->first_line);
	return format("%s%s%s", m->rule, *m->rule ? ": " : "", m->message);
}

static int on_warning(struct trace *t, const Imaged__V1__BuildWarning *m, struct err *err)
{
	int r = grow(&t->warnings, t->n_warnings, &t->warnings_capacity, sizeof *t->warnings, TRACE_WARNINGS_MAX, err);
	struct trace_warning w = { .is_error = m->is_error, .line = m->first_line };

	if (r < 0)
		return r;
	w.text = warning_text(m);
	w.excerpt = bytes_to_string((struct bytes){ m->excerpt.data, m->excerpt.len });
	w.rule = strdup(m->rule);
	w.url = strdup(m->url);
	w.description = strdup(m->description);
	t->warnings[t->n_warnings++] = w;
	if (!w.text || !w.rule || !w.url || !w.description)
		return fail_nomem(err);
	t->latest = NULL;
	return OK;
}

int trace_event(struct trace *t, const Imaged__V1__BuildEvent *event, int64_t now_ns, bool *ret_taken, struct err *err)
{
	*ret_taken = true;
	switch (event->event_case) {
	case IMAGED__V1__BUILD_EVENT__EVENT_STEP:
		return on_step(t, event->step, now_ns, err);
	case IMAGED__V1__BUILD_EVENT__EVENT_LOG:
		return on_log(t, event->log, now_ns, err);
	case IMAGED__V1__BUILD_EVENT__EVENT_PROGRESS:
		return on_progress(t, event->progress, now_ns, err);
	case IMAGED__V1__BUILD_EVENT__EVENT_WARNING:
		return on_warning(t, event->warning, err);
	default:
		*ret_taken = false;
		return OK;
	}
}

bool trace_has_much(const struct trace *t)
{
	return t->latest && t->latest->pending.len > TRACE_MUCH;
}

void trace_end(struct trace *t, bool canceled, int64_t now_ns)
{
	for (size_t i = 0; i < t->n; i++) {
		struct trace_vertex *v = t->vertices[i];

		settle(v);
		if (!canceled || !vertex_runs(v))
			continue;
		spend(v, v->seen, now_ns);
		v->ended = now_ns;
		v->state = IMAGED__V1__STEP__STATE__STATE_CANCELED;
		v->updated = true;
	}
}

void trace_free(struct trace *t)
{
	for (size_t i = 0; i < t->n; i++)
		vertex_free(t->vertices[i]);
	for (size_t i = 0; i < t->n_warnings; i++) {
		free(t->warnings[i].text);
		free(t->warnings[i].rule);
		free(t->warnings[i].url);
		free(t->warnings[i].description);
		free(t->warnings[i].excerpt);
	}
	free(t->vertices);
	free(t->warnings);
	*t = (struct trace){ 0 };
}

/* ---- numbers -------------------------------------------------------------------------------- */

double vertex_seconds(const struct trace_vertex *v, int64_t now_ns)
{
	int64_t spent = v->spent;

	if (vertex_runs(v) && now_ns > v->seen)
		spent += now_ns - v->seen;
	return (double)spent / NS;
}

char *transfer_bytes(int64_t bytes, char out[TRANSFER_TEXT_MAX])
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1000 && unit + 1 < ARRAY_LEN(units)) {
		value /= 1000;
		unit++;
	}
	if (unit)
		snprintf(out, TRANSFER_TEXT_MAX, "%.2f%s", value, units[unit]);
	else
		snprintf(out, TRANSFER_TEXT_MAX, "%lld%s", (long long)bytes, units[0]);
	return out;
}

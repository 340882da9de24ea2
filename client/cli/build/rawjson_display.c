/* One object a line, as BuildKit's client.SolveStatus is written. */
#include "client/cli/build/display.h"
#include "client/cli/value/json.h"
#include "proto/runtime/base64.h"
#include "store/types/digest.h"

enum { NS = 1000 * 1000 * 1000 };

/* RFC 3339 with as many digits as there are. */
static void put_time(struct buf *out, int64_t ns)
{
	time_t seconds = (time_t)(ns / NS);
	struct tm t;
	char text[32], fraction[16];
	size_t len;

	if (!gmtime_r(&seconds, &t))
		return;
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &t);
	len = (size_t)snprintf(fraction, sizeof fraction, ".%09lld", (long long)(ns % NS));
	while (fraction[len - 1] == '0')
		fraction[--len] = 0;
	if (fraction[len - 1] == '.')
		fraction[--len] = 0;
	buf_printf(out, "\"%s%sZ\"", text, fraction);
}

static void put_text(struct buf *out, const char *name, const char *text)
{
	buf_printf(out, "\"%s\":", name);
	json_put_string(out, text_of(text ? text : ""), true);
}

static void put_moment(struct buf *out, const char *name, int64_t ns)
{
	if (!ns)
		return;
	buf_printf(out, ",\"%s\":", name);
	put_time(out, ns);
}

/* A step without a digest is told by the digest of what makes it another one. */
static void put_vertex_id(struct buf *out, const char *name, const struct trace_vertex *v)
{
	CLEANUP(freep) char *own = v->digest ? NULL : format("%u %s", v->number, v->name ? v->name : "");
	char text[DIGEST_TEXT_MAX];
	struct digest digest;

	if (own)
		digest_of(DIGEST_SHA256, bytes_of(own), &digest);
	put_text(out, name, own ? digest_text(&digest, text) : v->digest);
}

static void put_step(struct buf *out, const struct trace_vertex *v)
{
	buf_puts(out, "{\"vertexes\":[{");
	put_vertex_id(out, "digest", v);
	buf_putc(out, ',');
	put_text(out, "name", v->name);
	put_moment(out, "started", v->started);
	put_moment(out, "completed", v->ended);
	if (v->state == IMAGED__V1__STEP__STATE__STATE_CACHED)
		buf_puts(out, ",\"cached\":true");
	if (v->error || v->state == IMAGED__V1__STEP__STATE__STATE_CANCELED) {
		buf_putc(out, ',');
		put_text(out, "error", v->error ? v->error : "context canceled");
	}
	buf_puts(out, "}]}\n");
}

/* What is done with what: BuildKit names only transfers so. */
static const char *action_of(const struct trace_status *s)
{
	static const char transfer[] = "transferring ";

	return !strncmp(s->id, transfer, strlen(transfer)) ? "transferring" : NULL;
}

static void put_status(struct buf *out, const struct trace_vertex *v, const Imaged__V1__StepProgress *m)
{
	const struct trace_status *s = NULL;

	for (size_t i = 0; i < v->n_statuses; i++)
		if (!strcmp(v->statuses[i].id, m->what))
			s = &v->statuses[i];
	if (!s)
		return;
	buf_puts(out, "{\"statuses\":[{");
	put_text(out, "id", s->id);
	buf_putc(out, ',');
	put_vertex_id(out, "vertex", v);
	if (action_of(s)) {
		buf_putc(out, ',');
		put_text(out, "name", action_of(s));
	}
	if (s->total)
		buf_printf(out, ",\"total\":%lld", (long long)s->total);
	buf_printf(out, ",\"current\":%lld", (long long)s->current);
	put_moment(out, "timestamp", s->last);
	put_moment(out, "started", s->started);
	put_moment(out, "completed", s->done ? s->last : 0);
	buf_puts(out, "}]}\n");
}

static void put_log(struct buf *out, const struct trace_vertex *v, const Imaged__V1__StepLog *m, int64_t now_ns)
{
	buf_puts(out, "{\"logs\":[{");
	put_vertex_id(out, "vertex", v);
	buf_printf(out, ",\"stream\":%d,\"data\":\"", m->is_stderr ? 2 : 1);
	base64_encode(out, m->data.data, m->data.len);
	buf_putc(out, '"');
	put_moment(out, "timestamp", trace_time(m->time, now_ns));
	buf_puts(out, "}]}\n");
}

static void put_warning(struct buf *out, const struct trace_warning *w)
{
	buf_puts(out, "{\"warnings\":[{\"level\":1,\"short\":\"");
	base64_encode(out, w->text, strlen(w->text));
	buf_puts(out, "\",\"detail\":[\"");
	base64_encode(out, w->description, strlen(w->description));
	buf_puts(out, "\"],");
	put_text(out, "url", w->url);
	buf_printf(out, ",\"range\":[{\"start\":{\"line\":%u},\"end\":{\"line\":%u}}]}]}\n", w->line, w->line);
}

void rawjson_show(struct build_progress *p, const Imaged__V1__BuildEvent *event, int64_t now_ns)
{
	const struct trace *t = &p->trace;

	switch (event->event_case) {
	case IMAGED__V1__BUILD_EVENT__EVENT_STEP:
		put_step(&p->out, t->latest);
		break;
	case IMAGED__V1__BUILD_EVENT__EVENT_PROGRESS:
		put_status(&p->out, t->latest, event->progress);
		break;
	case IMAGED__V1__BUILD_EVENT__EVENT_LOG:
		put_log(&p->out, t->latest, event->log, now_ns);
		break;
	case IMAGED__V1__BUILD_EVENT__EVENT_WARNING:
		if (!event->warning->is_error)
			put_warning(&p->out, &t->warnings[t->n_warnings - 1]);
		break;
	default:
		break;
	}
}

#include "service/build/session/progress.h"

#include <pthread.h>

#include "proto/runtime/clock.h"
#include "proto/runtime/hash.h"
#include "service/image/convert.h"
#include "store/cache/build_log.h"

enum {
	STATUS_INTERVAL_MS = 100, /* between two of one transfer */
	STATUSES_MAX = 1024,	  /* of one vertex whose times are kept */
	NS_PER_S = 1000000000,
};

/* When a transfer was told last. */
struct status {
	char *what;
	int64_t at_ms;
	UT_hash_handle hh;
};

struct vertex {
	struct progress *progress;
	struct vertex *next;
	uint32_t number;
	char *name;
	struct digest id; /* unset: none */
	Imaged__V1__Step__State state;
	int64_t started_ns;
	struct status *statuses;
	char **changed;
	size_t n_changed;
	UT_hash_handle hh; /* by id, of those that have one */
};

struct progress {
	pthread_mutex_t tell_mu; /* for one order in both; taken before mu, or alone */
	struct outbox *outbox;
	struct build_log *log;

	pthread_mutex_t mu; /* guards the rest, and the vertices but for their constants */
	struct vertex *vertices, **last;
	struct vertex *known;
	struct progress_counts counts;
};

int progress_new(const struct progress_sink *sink, struct build_log *log, struct progress **ret_progress,
		 struct err *err)
{
	struct progress *p = calloc(1, sizeof *p);

	if (!p)
		return fail_nomem(err);
	if (outbox_new(sink, &p->outbox, err) < 0) {
		free(p);
		return err->code;
	}
	p->log = log;
	p->last = &p->vertices;
	pthread_mutex_init(&p->tell_mu, NULL);
	pthread_mutex_init(&p->mu, NULL);
	*ret_progress = p;
	return OK;
}

static void forget_changes(struct vertex *v)
{
	for (size_t i = 0; i < v->n_changed; i++)
		free(v->changed[i]);
	free(v->changed);
	v->changed = NULL;
	v->n_changed = 0;
}

static void vertex_free(struct vertex *v)
{
	struct status *s, *next;

	HASH_ITER(hh, v->statuses, s, next)
	{
		HASH_DELETE(hh, v->statuses, s);
		free(s->what);
		free(s);
	}
	forget_changes(v);
	free(v->name);
	free(v);
}

void progress_free(struct progress *p)
{
	if (!p)
		return;
	outbox_free(p->outbox);
	HASH_CLEAR(hh, p->known);
	while (p->vertices) {
		struct vertex *v = p->vertices;

		p->vertices = v->next;
		vertex_free(v);
	}
	pthread_mutex_destroy(&p->mu);
	pthread_mutex_destroy(&p->tell_mu);
	free(p);
}

struct progress_counts progress_counts(struct progress *p)
{
	struct progress_counts counts;

	pthread_mutex_lock(&p->mu);
	counts = p->counts;
	pthread_mutex_unlock(&p->mu);
	return counts;
}

/* ---- out -------------------------------------------------------------------------- */

/* What the client does not get is in the log all the same. */
static void tell(struct progress *p, const Imaged__V1__BuildEvent *event, bool to_client)
{
	size_t size = imaged__v1__build_event__get_packed_size(event);
	CLEANUP(freep) uint8_t *bytes = malloc(size + 1);
	struct bytes packed = { bytes, size };

	if (!bytes)
		return;
	imaged__v1__build_event__pack(event, bytes);
	pthread_mutex_lock(&p->tell_mu);
	if (p->log)
		build_log_write(p->log, packed);
	if (to_client)
		outbox_put(p->outbox, packed);
	pthread_mutex_unlock(&p->tell_mu);
}

void progress_tell(struct progress *p, const Imaged__V1__BuildEvent *event)
{
	if (p)
		tell(p, event, true);
}

void progress_flush(struct progress *p)
{
	if (p)
		outbox_flush(p->outbox);
}

static Google__Protobuf__Timestamp timestamp_of(int64_t ns)
{
	Google__Protobuf__Timestamp t = GOOGLE__PROTOBUF__TIMESTAMP__INIT;

	t.seconds = ns / NS_PER_S;
	t.nanos = (int32_t)(ns % NS_PER_S);
	return t;
}

void progress_warning(struct progress *p, const Imaged__V1__BuildWarning *warning)
{
	Imaged__V1__BuildEvent event = IMAGED__V1__BUILD_EVENT__INIT;

	if (!p)
		return;
	pthread_mutex_lock(&p->mu);
	p->counts.warnings += !warning->is_error;
	pthread_mutex_unlock(&p->mu);
	event.event_case = IMAGED__V1__BUILD_EVENT__EVENT_WARNING;
	event.warning = (Imaged__V1__BuildWarning *)warning;
	progress_tell(p, &event);
}

/* ---- vertices ----------------------------------------------------------------------- */

static struct vertex *find_vertex(struct progress *p, const struct digest *id)
{
	struct vertex *v = NULL;

	if (id)
		HASH_FIND(hh, p->known, id, sizeof *id, v);
	return v;
}

static struct vertex *add_vertex(struct progress *p, const char *name, const struct digest *id)
{
	struct vertex *v = calloc(1, sizeof *v);

	if (!v)
		return NULL;
	v->name = strdup(name);
	if (!v->name) {
		free(v);
		return NULL;
	}
	utf8_clean(v->name);
	v->progress = p;
	if (id) {
		v->id = *id;
		HASH_ADD(hh, p->known, id, sizeof v->id, v);
	}
	v->number = ++p->counts.steps;
	*p->last = v;
	p->last = &v->next;
	return v;
}

/* `ended_ns` 0: it has not. */
static void tell_step(struct vertex *v, Imaged__V1__Step__State state, int64_t ended_ns, const char *error)
{
	Google__Protobuf__Timestamp started = timestamp_of(v->started_ns), ended = timestamp_of(ended_ns);
	Imaged__V1__BuildEvent event = IMAGED__V1__BUILD_EVENT__INIT;
	Imaged__V1__Step step = IMAGED__V1__STEP__INIT;
	char id[DIGEST_TEXT_MAX];

	step.number = v->number;
	step.name = v->name;
	step.state = state;
	step.started = &started;
	step.ended = ended_ns ? &ended : NULL;
	step.error = (char *)error;
	if (digest_is_set(&v->id))
		step.digest = digest_text(&v->id, id);
	step.changed = v->changed;
	step.n_changed = v->n_changed;
	event.event_case = IMAGED__V1__BUILD_EVENT__EVENT_STEP;
	event.step = &step;
	progress_tell(v->progress, &event);
}

struct vertex *progress_begin(struct progress *p, const char *name, const struct digest *id)
{
	struct vertex *v;

	if (!p)
		return NULL;
	pthread_mutex_lock(&p->mu);
	v = find_vertex(p, id);
	if (!v)
		v = add_vertex(p, name, id);
	if (v) {
		v->state = IMAGED__V1__STEP__STATE__STATE_RUNNING;
		v->started_ns = clock_wall_ns();
	}
	pthread_mutex_unlock(&p->mu);
	if (v)
		tell_step(v, IMAGED__V1__STEP__STATE__STATE_RUNNING, 0, "");
	return v;
}

static void end(struct vertex *v, Imaged__V1__Step__State state, const char *error)
{
	struct progress *p;
	bool running;

	if (!v)
		return;
	p = v->progress;
	pthread_mutex_lock(&p->mu);
	running = v->state == IMAGED__V1__STEP__STATE__STATE_RUNNING;
	v->state = state;
	p->counts.cached += running && state == IMAGED__V1__STEP__STATE__STATE_CACHED;
	pthread_mutex_unlock(&p->mu);
	if (running)
		tell_step(v, state, clock_wall_ns(), error);
}

void vertex_done(struct vertex *v)
{
	end(v, IMAGED__V1__STEP__STATE__STATE_DONE, "");
}

void vertex_cached(struct vertex *v)
{
	end(v, IMAGED__V1__STEP__STATE__STATE_CACHED, "");
}

void vertex_failed(struct vertex *v, const struct err *why)
{
	struct err clean = *why;

	utf8_clean(clean.text);
	if (why->code == E_CANCELLED)
		end(v, IMAGED__V1__STEP__STATE__STATE_CANCELED, "");
	else
		end(v, IMAGED__V1__STEP__STATE__STATE_FAILED, clean.text);
}

void progress_cancel_rest(struct progress *p)
{
	for (struct vertex *v = p ? p->vertices : NULL; v; v = v->next)
		end(v, IMAGED__V1__STEP__STATE__STATE_CANCELED, "");
}

/* ---- while it runs ------------------------------------------------------------------ */

static void tell_log(struct vertex *v, bool is_stderr, struct bytes data, bool to_client)
{
	Google__Protobuf__Timestamp now = timestamp_of(clock_wall_ns());
	Imaged__V1__BuildEvent event = IMAGED__V1__BUILD_EVENT__INIT;
	Imaged__V1__StepLog log = IMAGED__V1__STEP_LOG__INIT;

	log.step = v->number;
	log.is_stderr = is_stderr;
	log.data = (ProtobufCBinaryData){ data.len, (uint8_t *)data.data };
	log.time = &now;
	event.event_case = IMAGED__V1__BUILD_EVENT__EVENT_LOG;
	event.log = &log;
	tell(v->progress, &event, to_client);
}

void vertex_log(struct vertex *v, bool is_stderr, struct bytes data)
{
	static const char clipped[] = "\n[output clipped, as it was not read: the build's log has it]\n";
	enum outbox_room room;

	if (!v || !data.len)
		return;
	room = outbox_wait_room(v->progress->outbox);
	if (room == OUTBOX_FULL)
		tell_log(v, true, bytes_of(clipped), true);
	tell_log(v, is_stderr, data, room == OUTBOX_ROOM);
}

bool vertex_has_room(struct vertex *v, int64_t wait_ms)
{
	return !v || outbox_has_room(v->progress->outbox, wait_ms);
}

/* When one of many is not known any more it is told each time. */
static struct status *status_of(struct vertex *v, const char *what)
{
	struct status *s;

	HASH_FIND_STR(v->statuses, what, s);
	if (s || HASH_COUNT(v->statuses) >= STATUSES_MAX)
		return s;
	s = calloc(1, sizeof *s);
	if (s)
		s->what = strdup(what);
	if (!s || !s->what) {
		free(s);
		return NULL;
	}
	s->at_ms = -STATUS_INTERVAL_MS;
	HASH_ADD_KEYPTR(hh, v->statuses, s->what, strlen(s->what), s);
	if (HASH_ADDED(s))
		return s;
	free(s->what);
	free(s);
	return NULL;
}

static bool is_due(struct vertex *v, const char *what, bool done)
{
	int64_t now = clock_monotonic_ms();
	struct status *s;
	bool due;

	pthread_mutex_lock(&v->progress->mu);
	s = status_of(v, what);
	due = done || !s || now - s->at_ms >= STATUS_INTERVAL_MS;
	if (due && s)
		s->at_ms = now;
	pthread_mutex_unlock(&v->progress->mu);
	return due;
}

void vertex_status(struct vertex *v, const char *what, int64_t current, int64_t total, bool done)
{
	Imaged__V1__BuildEvent event = IMAGED__V1__BUILD_EVENT__INIT;
	Imaged__V1__StepProgress m = IMAGED__V1__STEP_PROGRESS__INIT;

	if (!v || !is_due(v, what, done))
		return;
	m.step = v->number;
	m.what = (char *)what;
	m.current = current;
	m.total = total;
	m.done = done;
	event.event_case = IMAGED__V1__BUILD_EVENT__EVENT_PROGRESS;
	event.progress = &m;
	tell(v->progress, &event, done || outbox_has_room(v->progress->outbox, 0));
}

void vertex_changed(struct vertex *v, const char *const *what, size_t n)
{
	char **copies = v ? calloc(n + 1, sizeof *copies) : NULL;

	if (!copies)
		return;
	forget_changes(v);
	v->changed = copies;
	for (; v->n_changed < n; v->n_changed++) {
		copies[v->n_changed] = strdup(what[v->n_changed]);
		if (!copies[v->n_changed])
			return;
		utf8_clean(copies[v->n_changed]);
	}
}

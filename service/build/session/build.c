#include "service/build/session/execute.h"

#include <limits.h>

#include "imaged/v1/build_record.pb-c.h"
#include "proto/runtime/clock.h"
#include "service/image/convert.h"
#include "service/registry/url.h"

/* ---- its beginning -------------------------------------------------------------------------- */

static void fire(void *cancel)
{
	cancel_fire(cancel, E_CANCELLED);
}

/* A build may take hours, and what it has made is kept: the daemon's end does not wait for it. */
static void fire_drain(void *cancel)
{
	cancel_fire(cancel, E_UNAVAILABLE);
}

static int init(struct session *s, struct image_service *service, struct rpc_call *call, struct err *err)
{
	*s = (struct session){ .service = service, .call = call, .started_ns = clock_wall_ns() };
	s->record = (Imaged__Store__V1__BuildRecord)IMAGED__STORE__V1__BUILD_RECORD__INIT;
	arena_init(&s->arena, BUILD_START_BYTES_MAX);
	pthread_mutex_init(&s->send_mu, NULL);
	pthread_mutex_init(&s->shell_mu, NULL);
	s->cancel = cancel_new();
	if (!s->cancel)
		return fail_nomem(err);
	s->hook = (struct cancel_hook){ .fn = fire, .arg = s->cancel };
	s->drain_hook = (struct cancel_hook){ .fn = fire_drain, .arg = s->cancel };
	cancel_hook(rpc_call_cancel(call), &s->hook);
	cancel_hook(rpc_call_drain(call), &s->drain_hook);
	return OK;
}

static int receive_start(struct session *s, struct err *err)
{
	const Imaged__V1__BuildRequest *m;
	int r = imaged__v1__image_service__build_recv(s->call, &m, err);

	if (r < 0)
		return r;
	if (!r || m->request_case != IMAGED__V1__BUILD_REQUEST__REQUEST_START)
		return fail(err, E_INVALID, "the first message of a build must be `start`");
	if (build_request_copy(m->start, &s->arena, &s->start, err) < 0)
		return err->code;
	return build_request_check(s->start, err);
}

/* ---- agents of the client -------------------------------------------------------------------- */

static int send_agent(void *session, const Imaged__V1__AgentData *message, struct err *err)
{
	Imaged__V1__BuildEvent event = IMAGED__V1__BUILD_EVENT__INIT;

	event.event_case = IMAGED__V1__BUILD_EVENT__EVENT_AGENT;
	event.agent = (Imaged__V1__AgentData *)message;
	return session_send(session, &event, err);
}

static int open_agents(struct session *s, struct err *err)
{
	const struct agents_sink sink = { send_agent, s };

	return s->start->n_ssh_ids ? build_agents_new(s->start->ssh_ids, s->start->n_ssh_ids, &sink, &s->agents, err)
				   : OK;
}

/* ---- what is on record ------------------------------------------------------------------------ */

/* The last part of a directory's path, or a URL; "" where neither is known. */
static char *context_name(struct session *s)
{
	const Imaged__V1__BuildContext *c = s->start->context;
	char *name = NULL;

	if (c && c->source_case == IMAGED__V1__BUILD_CONTEXT__SOURCE_URL) {
		CLEANUP(freep) char *shown = url_masked(c->url);

		return shown && (name = arena_string(&s->arena, shown)) ? name : (char *)"";
	}
	if (c && c->source_case == IMAGED__V1__BUILD_CONTEXT__SOURCE_DIRECTORY && c->directory->name.len <= NAME_MAX)
		name = arena_bytes(&s->arena, (struct bytes){ c->directory->name.data, c->directory->name.len });
	if (name)
		utf8_clean(name);
	return name ? name : (char *)"";
}

static void fill_record(struct session *s)
{
	const Imaged__V1__BuildStart *start = s->start;
	Imaged__Store__V1__BuildRecord *r = &s->record;

	r->state = IMAGED__V1__BUILD_INFO__STATE__STATE_RUNNING;
	r->context = context_name(s);
	r->dockerfile = start->dockerfile_name;
	r->target = start->target;
	r->platforms = start->platforms;
	r->n_platforms = start->n_platforms;
	r->tags = start->tags;
	r->n_tags = start->n_tags;
}

static void tell_started(struct session *s)
{
	Imaged__V1__BuildEvent event = IMAGED__V1__BUILD_EVENT__INIT;
	Imaged__V1__BuildStarted started = IMAGED__V1__BUILD_STARTED__INIT;

	if (s->log)
		started.build_id = (char *)build_log_id(s->log);
	event.event_case = IMAGED__V1__BUILD_EVENT__EVENT_STARTED;
	event.started = &started;
	progress_tell(s->progress, &event);
	progress_flush(s->progress); /* before anything that does not go through it */
}

/* Without a log the build goes on. */
static int begin_progress(struct session *s, struct err *err)
{
	const struct progress_sink sink = { session_send, s };

	fill_record(s);
	build_log_begin(s->service->store, &s->record, &s->log, NULL);
	if (progress_new(&sink, s->log, &s->progress, err) < 0)
		return err->code;
	tell_started(s);
	return OK;
}

static void tell_done(struct session *s, Imaged__V1__BuildDone *done)
{
	Imaged__V1__BuildEvent event = IMAGED__V1__BUILD_EVENT__INIT;

	event.event_case = IMAGED__V1__BUILD_EVENT__EVENT_DONE;
	event.done = done;
	if (!done->warnings)
		done->warnings = progress_counts(s->progress).warnings;
	progress_tell(s->progress, &event);
}

static int32_t state_of(struct session *s, int code)
{
	if (code == OK)
		return IMAGED__V1__BUILD_INFO__STATE__STATE_DONE;
	if (code == E_CANCELLED || (code == E_UNAVAILABLE && cancel_fired(rpc_call_drain(s->call))))
		return IMAGED__V1__BUILD_INFO__STATE__STATE_CANCELED;
	return IMAGED__V1__BUILD_INFO__STATE__STATE_FAILED;
}

static void end_log(struct session *s, const Imaged__V1__BuildDone *done, int code, const struct err *err)
{
	struct progress_counts counts = { 0, 0, 0 };

	if (s->progress)
		counts = progress_counts(s->progress);
	s->record.state = state_of(s, code);
	s->record.ended_ns = clock_wall_ns();
	if (code < 0)
		s->record.error = (char *)err->text;
	s->record.image_id = done->image_id;
	s->record.steps = counts.steps;
	s->record.cached = counts.cached;
	s->record.warnings = counts.warnings;
	if (s->log)
		build_log_end(TAKE(s->log), &s->record);
}

/* ---- the whole ----------------------------------------------------------------------------------- */

/* Who made it end knows more than what was ended. */
static int reason_of_end(struct session *s, int r, struct err *err)
{
	struct cancel *call = rpc_call_cancel(s->call), *drain = rpc_call_drain(s->call);

	if (cancel_fired(call))
		return r == E_CANCELLED ? cancel_check(call, err) : r;
	if (r == E_CANCELLED && cancel_fired(drain))
		return cancel_check(drain, err);
	if (!s->received.code)
		return r;
	*err = s->received;
	return err->code;
}

static int run(struct session *s, Imaged__V1__BuildDone *done, struct err *err)
{
	int r;

	if (receive_start(s, err) < 0 || session_contexts_open(s, err) < 0 || open_agents(s, err) < 0 ||
	    begin_progress(s, err) < 0 || session_receive(s, err) < 0)
		return err->code;
	r = session_execute(s, done, err);
	session_receive_end(s);
	if (r < 0)
		r = reason_of_end(s, r, err);
	progress_cancel_rest(s->progress);
	if (r == OK)
		tell_done(s, done);
	return r;
}

static void release(struct session *s)
{
	session_receive_end(s);
	build_agents_free(s->agents);
	session_contexts_close(s);
	progress_free(s->progress);
	if (s->start)
		build_request_wipe(s->start);
	arena_free(&s->arena);
	if (s->hook.fn) {
		cancel_unhook(rpc_call_cancel(s->call), &s->hook);
		cancel_unhook(rpc_call_drain(s->call), &s->drain_hook);
	}
	cancel_unref(s->cancel);
	pthread_mutex_destroy(&s->send_mu);
	pthread_mutex_destroy(&s->shell_mu);
}

static int build_admitted(struct image_service *service, struct rpc_call *call, struct err *err)
{
	Imaged__V1__BuildDone done = IMAGED__V1__BUILD_DONE__INIT;
	struct session s;
	int r = init(&s, service, call, err);

	if (r == OK)
		r = run(&s, &done, err);
	end_log(&s, &done, r, err);
	release(&s);
	return r;
}

int build_image(void *self, struct rpc_call *call, struct err *err)
{
	struct image_service *service = self;
	int r;

	if (!service->build.solver)
		return fail(err, E_READ_ONLY, "the store at %s is read-only: nothing can be built",
			    store_root(service->store));
	if (admission_enter(&service->build.admission, BUILDS_MAX, "builds run", err) < 0)
		return err->code;
	r = build_admitted(service, call, err);
	admission_leave(&service->build.admission);
	return r;
}

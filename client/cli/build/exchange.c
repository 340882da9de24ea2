#include "client/cli/build/exchange.h"

#include <poll.h>
#include <sys/eventfd.h>

#include "client/cli/build/shell.h"
#include "client/cli/upload.h"
#include "imaged/v1/image_service.client.h"
#include "proto/runtime/clock.h"

enum { REPORT_MAX = 16 * 1024 * 1024 };

typedef struct imaged__v1__image_service__build_stream stream;

struct exchange {
	struct build_request *request;
	struct build_result *result;
	struct context_upload upload;
	struct build_shell shell;

	pthread_mutex_t send_mu; /* one sends at a time */
	stream *stream;

	pthread_t clock;
	bool ticking;
	int interrupt, over; /* eventfds */
	pthread_mutex_t mu;  /* guards the rest */
	struct build_progress *progress;
	bool shell_is_open, interrupted;
};

/* ---- out --------------------------------------------------------------------------------------------- */

static int send(void *exchange, const Imaged__V1__BuildRequest *m, struct err *err)
{
	struct exchange *e = exchange;
	int r;

	pthread_mutex_lock(&e->send_mu);
	r = imaged__v1__image_service__build_write(e->stream, m, err);
	pthread_mutex_unlock(&e->send_mu);
	return r;
}

static void cancel(void *exchange)
{
	struct exchange *e = exchange;

	imaged__v1__image_service__build_cancel(e->stream);
}

static int send_start(struct exchange *e, struct err *err)
{
	Imaged__V1__BuildRequest m = IMAGED__V1__BUILD_REQUEST__INIT;

	m.request_case = IMAGED__V1__BUILD_REQUEST__REQUEST_START;
	m.start = &e->request->start;
	return send(e, &m, err);
}

/* ---- the clock --------------------------------------------------------------------------------------- */

static void tick(struct exchange *e)
{
	int width = terminal_width(STDERR_FILENO);

	pthread_mutex_lock(&e->mu);
	if (width)
		build_progress_resize(e->progress, width, terminal_height(STDERR_FILENO));
	if (!e->shell_is_open)
		build_progress_tick(e->progress, clock_wall_ns());
	pthread_mutex_unlock(&e->mu);
}

static void interrupt(struct exchange *e)
{
	pthread_mutex_lock(&e->mu);
	e->interrupted = true;
	build_progress_break(e->progress, clock_wall_ns());
	cli_warn("canceling the build; once more ends at once\n");
	pthread_mutex_unlock(&e->mu);
	cancel(e);
}

static void *run_clock(void *exchange)
{
	struct exchange *e = exchange;
	struct pollfd fds[] = { { .fd = e->over, .events = POLLIN }, { .fd = e->interrupt, .events = POLLIN } };

	for (;;) {
		int n = poll(fds, ARRAY_LEN(fds), BUILD_PROGRESS_TICK_MS);

		if (n > 0 && fds[0].revents)
			return NULL;
		if (n > 0 && fds[1].revents) {
			interrupt(e);
			fds[1].fd = -1;
		}
		if (n == 0)
			tick(e);
	}
}

static int start_clock(struct exchange *e, struct err *err)
{
	e->interrupt = eventfd(0, EFD_CLOEXEC);
	e->over = eventfd(0, EFD_CLOEXEC);
	if (e->interrupt < 0 || e->over < 0)
		return fail_errno(err, "make an eventfd");
	errno = pthread_create(&e->clock, NULL, run_clock, e);
	if (errno)
		return fail_errno(err, "start a thread");
	e->ticking = true;
	signals_tell(e->interrupt);
	return OK;
}

static void stop_clock(struct exchange *e)
{
	signals_tell(-1);
	if (e->ticking) {
		eventfd_write(e->over, 1);
		pthread_join(e->clock, NULL);
	}
	closep(&e->interrupt);
	closep(&e->over);
}

/* ---- in ---------------------------------------------------------------------------------------------- */

static int on_done(struct exchange *e, const Imaged__V1__BuildDone *m, struct err *err)
{
	struct build_result *r = e->result;

	if (r->done)
		return fail(err, E_INTERNAL, "the service says twice that the build is done");
	r->done = true;
	r->warnings = m->warnings;
	r->image_id = strdup(m->image_id);
	r->digest = strdup(m->digest);
	r->metadata = strdup(m->metadata_json);
	r->report = (struct buf)BUF_INIT(REPORT_MAX);
	buf_append(&r->report, m->report.data, m->report.len);
	return r->image_id && r->digest && r->metadata ? OK : fail_nomem(err);
}

static int on_shell(struct exchange *e, const Imaged__V1__ShellOutput *m, struct err *err)
{
	if (!e->request->start.debug_shell)
		return fail(err, E_INTERNAL, "the service opens a shell that was not asked for");
	pthread_mutex_lock(&e->mu);
	if (!e->shell_is_open) {
		build_progress_break(e->progress, clock_wall_ns());
		cli_warn("a shell in the step that failed: its end is that of the build\n");
	}
	e->shell_is_open = !m->end;
	pthread_mutex_unlock(&e->mu);
	return build_shell_output(&e->shell, m, err);
}

static int show(struct exchange *e, const Imaged__V1__BuildEvent *m, struct err *err)
{
	int r;

	pthread_mutex_lock(&e->mu);
	r = build_progress_event(e->progress, m, clock_wall_ns(), err);
	pthread_mutex_unlock(&e->mu);
	return r;
}

static int on_event(struct exchange *e, const Imaged__V1__BuildEvent *m, struct err *err)
{
	bool taken;
	int r = context_upload_take(&e->upload, m, &taken, err);

	if (r == OK && !taken)
		r = build_outputs_take(&e->request->outputs, m, &taken, err);
	if (r == OK && !taken)
		r = build_agents_take(&e->request->agents, m, &taken, err);
	if (r < 0 || taken)
		return r;
	switch (m->event_case) {
	case IMAGED__V1__BUILD_EVENT__EVENT_DONE:
		r = show(e, m, err);
		return r == OK ? on_done(e, m->done, err) : r;
	case IMAGED__V1__BUILD_EVENT__EVENT_SHELL:
		return on_shell(e, m->shell, err);
	default:
		return show(e, m, err);
	}
}

static int follow(struct exchange *e, struct err *own, struct err *err)
{
	const Imaged__V1__BuildEvent *m;
	int r;

	while ((r = imaged__v1__image_service__build_next(e->stream, &m, err)) > 0)
		if (on_event(e, m, own) < 0 && is_own_failure(own))
			return own->code;
	if (r == OK && !e->result->done)
		return fail(err, E_INTERNAL, "the service ended the build without a result");
	return r;
}

/* ---- the call ------------------------------------------------------------------------------------------ */

static int start(struct exchange *e, struct err *own)
{
	e->upload = (struct context_upload){
		.sources = e->request->sources.uploads,
		.n_sources = e->request->sources.n_uploads,
		.quiet_ms = UPLOAD_QUIET_MS,
		.stream = e,
		.send = send,
		.cancel = cancel,
	};
	e->request->agents.stream = e->shell.stream = e;
	e->request->agents.send = e->shell.send = send;
	if (start_clock(e, own) < 0 || send_start(e, own) < 0 || context_upload_start(&e->upload, own) < 0)
		return own->code;
	return build_agents_start(&e->request->agents, own);
}

static int run(struct exchange *e, struct err *own, struct err *err)
{
	int r = start(e, own);

	if (r == OK || !is_own_failure(own))
		r = follow(e, own, err);
	build_shell_end(&e->shell);
	context_upload_end(&e->upload, own);
	build_agents_end(&e->request->agents);
	stop_clock(e);
	if (e->interrupted)
		return fail(err, E_CANCELLED, "Canceled: context canceled");
	return r;
}

int build_exchange(struct rpc_channel *channel, struct build_request *request, struct build_progress *progress,
		   struct build_result *ret_result, bool *ret_is_own, struct err *err)
{
	struct exchange e = {
		.request = request,
		.result = ret_result,
		.progress = progress,
		.send_mu = PTHREAD_MUTEX_INITIALIZER,
		.mu = PTHREAD_MUTEX_INITIALIZER,
		.interrupt = -1,
		.over = -1,
	};
	struct err own = ERR_INIT;
	int r = imaged__v1__image_service__open_build(channel, cli_call_options(), &e.stream, err);

	*ret_is_own = false;
	if (r < 0)
		return r;
	r = run(&e, &own, err);
	imaged__v1__image_service__build_free(e.stream);
	if (e.interrupted || !is_own_failure(&own))
		return r;
	*err = own;
	*ret_is_own = true;
	return own.code;
}

void build_result_free(struct build_result *r)
{
	free(r->image_id);
	free(r->digest);
	free(r->metadata);
	buf_free(&r->report);
	*r = (struct build_result){ 0 };
}

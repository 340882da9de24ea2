/*
 * context_server ROOT ADDRESS IMAGED-LAYER: a service whose Build opens the main context and answers the
 * steps of context_steps.h in BuildDone.metadata_json. Says "ready" on standard output; ends
 * at SIGTERM, or when its standard input does.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "imaged/v1/image_service.server.h"
#include "service/build/context/archive_feed.h"
#include "service/build/context/context_git.h"
#include "service/build/context/context_url.h"
#include "service/build/git_ref.h"
#include "service/rpc/server.h"
#include "tests/build/context_steps.h"

enum { ANSWER_MAX = 256 * 1024 * 1024 };

struct service {
	struct store *store;
	struct contexts *contexts;
	struct registry *registry;
	const char *worker_program;
};

struct build {
	struct service *service;
	struct rpc_call *call;
	pthread_mutex_t send_mu;
	struct build_context *context;
	bool is_archive;
	char *url;	  /* NULL: none */
	char commit[128]; /* of a git repository, and how many submodules */
	struct archive_feed feed;
	struct buf dockerfile; /* of an archive that was one */
	struct step *steps;
	size_t n_steps;
};

static int send_event(struct build *b, const Imaged__V1__BuildEvent *event, struct err *err)
{
	int r;

	pthread_mutex_lock(&b->send_mu);
	r = imaged__v1__image_service__build_send(b->call, event, err);
	pthread_mutex_unlock(&b->send_mu);
	return r;
}

/* ---- asking --------------------------------------------------------------------- */

static int want_list(void *build, const char *context, struct err *err)
{
	Imaged__V1__BuildEvent event = IMAGED__V1__BUILD_EVENT__INIT;
	Imaged__V1__WantList want = IMAGED__V1__WANT_LIST__INIT;

	want.context = (char *)context;
	event.event_case = IMAGED__V1__BUILD_EVENT__EVENT_WANT_LIST;
	event.want_list = &want;
	return send_event(build, &event, err);
}

static int want_files(void *build, const char *context, const uint32_t *files, size_t n, struct err *err)
{
	Imaged__V1__BuildEvent event = IMAGED__V1__BUILD_EVENT__INIT;
	Imaged__V1__WantFiles want = IMAGED__V1__WANT_FILES__INIT;

	want.context = (char *)context;
	want.files = (uint32_t *)files;
	want.n_files = n;
	event.event_case = IMAGED__V1__BUILD_EVENT__EVENT_WANT_FILES;
	event.want_files = &want;
	return send_event(build, &event, err);
}

/* ---- receiving -------------------------------------------------------------------- */

static int dispatch(struct build *b, const Imaged__V1__BuildRequest *m, struct err *err)
{
	switch (m->request_case) {
	case IMAGED__V1__BUILD_REQUEST__REQUEST_LIST:
		return b->context ? build_context_take_list(b->context, m->list, err) : fail(err, E_INVALID, "list");
	case IMAGED__V1__BUILD_REQUEST__REQUEST_DATA:
		return b->context ? build_context_take_data(b->context, m->data, err) : fail(err, E_INVALID, "data");
	case IMAGED__V1__BUILD_REQUEST__REQUEST_ARCHIVE:
		return b->is_archive ? archive_feed_put(&b->feed, m->archive, err) : fail(err, E_INVALID, "archive");
	case IMAGED__V1__BUILD_REQUEST__REQUEST__NOT_SET:
		return OK;
	default:
		return fail(err, E_INVALID, "a message that was not asked for");
	}
}

static void *receive(void *build)
{
	struct build *b = build;
	const Imaged__V1__BuildRequest *m;
	struct err err = ERR_INIT;
	int r;

	while ((r = imaged__v1__image_service__build_recv(b->call, &m, &err)) > 0)
		if (dispatch(b, m, &err) < 0)
			break;
	if (r == 0)
		fail(&err, E_INVALID, "the client has ended its part of the build");
	if (b->is_archive)
		archive_feed_fail(&b->feed, &err);
	else if (b->context)
		build_context_fail(b->context, &err);
	return NULL;
}

/* ---- the call ----------------------------------------------------------------------- */

static int send_done(struct build *b, const struct buf *answers, struct err *err)
{
	Imaged__V1__BuildEvent event = IMAGED__V1__BUILD_EVENT__INIT;
	Imaged__V1__BuildDone done = IMAGED__V1__BUILD_DONE__INIT;

	done.digest = b->commit;
	done.metadata_json = (char *)buf_text(answers);
	event.event_case = IMAGED__V1__BUILD_EVENT__EVENT_DONE;
	event.done = &done;
	return send_event(b, &event, err);
}

static int64_t setting(const char *name)
{
	const char *text = getenv(name);

	return text ? strtoll(text, NULL, 10) : 0;
}

/* 0: it is no repository. */
static int read_git(struct build *b, struct context_archive *archive, struct err *err)
{
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	struct context_git_result result;
	struct git_ref ref;
	int r;

	arena_init(&arena, 64 * 1024);
	if (!strncmp(b->url, "file://", 7)) {
		ref = (struct git_ref){ .remote = b->url, .ref = "", .subdir = "", .checksum = "" };
	} else {
		r = git_ref_parse(b->url, &arena, &ref, err);
		if (r <= 0)
			return r;
	}
	archive->subdir = ref.subdir;
	r = context_git_read(&(struct context_git){ .remote = ref.remote,
						    .ref = ref.ref,
						    .checksum = ref.checksum,
						    .program = getenv("CONTEXT_GIT"),
						    .bytes_max = setting("CONTEXT_GIT_BYTES"),
						    .seconds_max = setting("CONTEXT_GIT_SECONDS") },
			     archive, &result, &b->context, err);
	if (r == OK)
		snprintf(b->commit, sizeof b->commit, "%s %zu", result.commit, result.submodules);
	return r == OK ? 1 : r;
}

static int read_url(struct build *b, struct context_archive *archive, struct err *err)
{
	int r = read_git(b, archive, err);

	if (r)
		return r > 0 ? OK : r;
	return context_url_read(b->service->registry, b->url, archive, &b->dockerfile, &b->context, err);
}

static int read_archive(struct build *b, struct err *err)
{
	Imaged__V1__BuildEvent event = IMAGED__V1__BUILD_EVENT__INIT;
	Imaged__V1__WantArchive want = IMAGED__V1__WANT_ARCHIVE__INIT;
	struct context_archive archive = {
		.store = b->service->store,
		.worker_program = b->service->worker_program,
		.cancel = rpc_call_cancel(b->call),
		.name = "",
	};
	const struct archive_reader from = archive_feed_reader(&b->feed);
	int r;

	if (b->url)
		return read_url(b, &archive, err);
	event.event_case = IMAGED__V1__BUILD_EVENT__EVENT_WANT_ARCHIVE;
	event.want_archive = &want;
	r = send_event(b, &event, err);
	if (r == OK)
		r = context_archive_read(&archive, &from, &b->dockerfile, &b->context, err);
	archive_feed_close(&b->feed);
	return r;
}

static int open_now(struct build *b, struct err *err)
{
	int r;

	if (b->is_archive || b->url)
		return read_archive(b, err);
	r = b->context ? build_context_begin(b->context, err) : OK;
	return r == OK && b->context ? build_context_wait(b->context, rpc_call_cancel(b->call), err) : r;
}

static void put_dockerfile(struct build *b, struct buf *answers)
{
	if (!b->dockerfile.data)
		return;
	buf_puts(answers, "{\"dockerfile\":\"");
	for (size_t i = 0; i < b->dockerfile.len; i++)
		buf_printf(answers, "\\u%04x", b->dockerfile.data[i]);
	buf_puts(answers, "\"}");
}

static int run_steps(struct build *b, struct err *err)
{
	CLEANUP(buf_free) struct buf answers = BUF_INIT(ANSWER_MAX);
	struct cancel *cancel = rpc_call_cancel(b->call);
	int r = open_now(b, err);

	buf_putc(&answers, '[');
	put_dockerfile(b, &answers);
	for (size_t i = 0; r == OK && i < b->n_steps; i++)
		r = run_step(b->service->contexts, b->context, &b->steps[i], cancel, &answers, err);
	buf_putc(&answers, ']');
	if (r == OK && !buf_ok(&answers))
		return fail_nomem(err);
	return r == OK ? send_done(b, &answers, err) : r;
}

static int copy_steps(struct build *b, const Imaged__V1__BuildStart *start)
{
	b->steps = calloc(start->n_arguments + 1, sizeof *b->steps);
	for (size_t i = 0; b->steps && i < start->n_arguments; i++, b->n_steps++) {
		b->steps[i].name = strdup(start->arguments[i]->name);
		b->steps[i].value = strdup(start->arguments[i]->value);
	}
	return OK;
}

static int open_context(struct build *b, const Imaged__V1__BuildContext *context, struct err *err)
{
	const struct build_context_peer peer = { want_list, want_files, b };

	if (!context || context->source_case == IMAGED__V1__BUILD_CONTEXT__SOURCE__NOT_SET)
		return OK;
	b->is_archive = context->source_case == IMAGED__V1__BUILD_CONTEXT__SOURCE_ARCHIVE;
	if (context->source_case == IMAGED__V1__BUILD_CONTEXT__SOURCE_URL)
		b->url = strdup(context->url);
	if (context->source_case != IMAGED__V1__BUILD_CONTEXT__SOURCE_DIRECTORY)
		return OK;
	return build_context_open_directory(b->service->contexts, context->name, context->directory, &peer, &b->context,
					    err);
}

static int receive_start(struct build *b, struct err *err)
{
	const Imaged__V1__BuildRequest *m;
	int r = imaged__v1__image_service__build_recv(b->call, &m, err);

	if (r < 0)
		return r;
	if (!r || m->request_case != IMAGED__V1__BUILD_REQUEST__REQUEST_START)
		return fail(err, E_INVALID, "the first message must be `start`");
	copy_steps(b, m->start);
	return open_context(b, m->start->context, err);
}

static void close_context(void *context)
{
	struct err err = ERR_INIT;

	if (build_context_close(context, &err) < 0)
		fprintf(stderr, "close context: %s\n", err.text);
}

static void release(struct build *b)
{
	for (size_t i = 0; i < b->n_steps; i++) {
		free(b->steps[i].name);
		free(b->steps[i].value);
	}
	free(b->steps);
	free(b->url);
	buf_free(&b->dockerfile);
	archive_feed_free(&b->feed);
	if (b->context)
		rpc_call_defer(b->call, close_context, b->context, NULL);
	pthread_mutex_destroy(&b->send_mu);
}

static int build(void *self, struct rpc_call *call, struct err *err)
{
	struct build b = { .service = self, .call = call };
	pthread_t receiver;
	int r;

	pthread_mutex_init(&b.send_mu, NULL);
	archive_feed_init(&b.feed, rpc_call_cancel(call));
	b.dockerfile = (struct buf)BUF_INIT(DOCKERFILE_BYTES_MAX + 1024 * 1024);
	r = receive_start(&b, err);
	if (r == OK && !pthread_create(&receiver, NULL, receive, &b)) {
		r = run_steps(&b, err);
		rpc_call_stop_recv(call);
		pthread_join(receiver, NULL);
	}
	release(&b);
	return r;
}

/* ---- the process ------------------------------------------------------------------------ */

static int serve(struct service *s, const char *root, const char *address, const sigset_t *signals, struct err *err)
{
	static const struct imaged__v1__image_service__impl handlers = { .build = build };
	CLEANUP(rpc_server_freep) struct rpc_server *server = NULL;
	struct rpc_binding binding = imaged__v1__image_service__bind(&handlers, s);
	const struct rpc_server_options options = { .handlers = 0 };
	const struct registry_options registry = { .http = { .user_agent = "imaged" } };
	int number;

	if (store_open(root, &s->store, err) < 0 || contexts_new(s->store, &s->contexts, err) < 0 ||
	    registry_new(&registry, &s->registry, err) < 0 || rpc_server_new(&options, NULL, NULL, &server, err) < 0 ||
	    rpc_server_add(server, &binding, err) < 0 || rpc_server_listen(server, address, NULL, err) < 0 ||
	    rpc_server_start(server, err) < 0)
		return err->code;
	puts("ready");
	fflush(stdout);
	sigwait(signals, &number);
	rpc_server_drain(server);
	return OK;
}

int main(int argc, char **argv)
{
	struct service s = { .store = NULL };
	struct err err = ERR_INIT;
	sigset_t signals;
	int r;

	if (argc != 4) {
		fputs("usage: context_server ROOT ADDRESS IMAGED-LAYER\n", stderr);
		return 64;
	}
	s.worker_program = argv[3];
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	r = serve(&s, argv[1], argv[2], &signals, &err);
	registry_free(s.registry);
	contexts_free(s.contexts);
	store_close(s.store);
	if (r < 0)
		fprintf(stderr, "context_server: %s\n", err.text);
	return r < 0;
}

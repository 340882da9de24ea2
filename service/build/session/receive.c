#include "service/build/session/debug_shell.h"

int session_send(void *session, const Imaged__V1__BuildEvent *event, struct err *err)
{
	struct session *s = session;
	int r;

	pthread_mutex_lock(&s->send_mu);
	r = imaged__v1__image_service__build_send(s->call, event, err);
	pthread_mutex_unlock(&s->send_mu);
	return r;
}

struct session_context *session_context_named(struct session *s, const char *name)
{
	for (size_t i = 0; i < s->n_contexts; i++)
		if (!strcmp(s->contexts[i].name, name))
			return &s->contexts[i];
	return NULL;
}

static int find_context(struct session *s, const char *name, enum session_context_kind kind,
			struct session_context **ret_context, struct err *err)
{
	*ret_context = session_context_named(s, name);
	if (*ret_context && (*ret_context)->kind == kind)
		return OK;
	return fail(err, E_INVALID, "the client sends files of a context \"%.128s\", which is no %s", name,
		    kind == SESSION_CONTEXT_ARCHIVE ? "archive" : "directory");
}

static int take_list(struct session *s, const Imaged__V1__ContextList *m, struct err *err)
{
	struct session_context *c;

	if (find_context(s, m->context, SESSION_CONTEXT_DIRECTORY, &c, err) < 0)
		return err->code;
	return build_context_take_list(c->files, m, err);
}

static int take_data(struct session *s, const Imaged__V1__ContextData *m, struct err *err)
{
	struct session_context *c;

	if (find_context(s, m->context, SESSION_CONTEXT_DIRECTORY, &c, err) < 0)
		return err->code;
	return build_context_take_data(c->files, m, err);
}

static int take_archive(struct session *s, const Imaged__V1__ArchiveData *m, struct err *err)
{
	struct session_context *c;

	if (find_context(s, m->context, SESSION_CONTEXT_ARCHIVE, &c, err) < 0)
		return err->code;
	if (!atomic_load(&c->asked)) /* nobody would take it, and what comes behind it never came */
		return fail(err, E_INVALID, "build context \"%.128s\": an archive that was not asked for", m->context);
	return archive_feed_put(&c->feed, m, err);
}

static int dispatch(struct session *s, const Imaged__V1__BuildRequest *m, struct err *err)
{
	switch (m->request_case) {
	case IMAGED__V1__BUILD_REQUEST__REQUEST_LIST:
		return take_list(s, m->list, err);
	case IMAGED__V1__BUILD_REQUEST__REQUEST_DATA:
		return take_data(s, m->data, err);
	case IMAGED__V1__BUILD_REQUEST__REQUEST_ARCHIVE:
		return take_archive(s, m->archive, err);
	case IMAGED__V1__BUILD_REQUEST__REQUEST_AGENT:
		if (!s->agents)
			return fail(err, E_INVALID, "the client sends bytes of an agent that it does not forward");
		build_agents_take(s->agents, m->agent);
		return OK;
	case IMAGED__V1__BUILD_REQUEST__REQUEST_SHELL:
		if (!s->start->debug_shell)
			return fail(err, E_INVALID, "the client types into a shell that it has not asked for");
		return debug_shell_take(s, m->shell, err);
	case IMAGED__V1__BUILD_REQUEST__REQUEST__NOT_SET:
		return OK; /* the client is still there */
	default:
		return fail(err, E_INVALID, "the client sends what was not asked for");
	}
}

/* A client that has ended its part may still want to read what becomes of the build: it ends
 * only where more is needed of it. */
static void *receive(void *session)
{
	struct session *s = session;
	const Imaged__V1__BuildRequest *m;
	struct err err = ERR_INIT;
	int r;

	while ((r = imaged__v1__image_service__build_recv(s->call, &m, &err)) > 0) {
		r = dispatch(s, m, &err);
		if (r < 0)
			break;
	}
	if (r < 0) {
		s->received = err;
		cancel_fire(s->cancel, E_CANCELLED);
	} else {
		fail(&err, E_INVALID, "the client has ended its part of the build, and more is needed of it");
	}
	session_contexts_fail(s, &err);
	debug_shell_end_input(s);
	return NULL;
}

int session_receive(struct session *s, struct err *err)
{
	int code = pthread_create(&s->receiver, NULL, receive, s);

	if (code)
		return fail(err, E_NO_MEMORY, "no thread for what the client sends: %s", strerror(code));
	s->receiving = true;
	return OK;
}

void session_receive_end(struct session *s)
{
	if (!s->receiving)
		return;
	for (size_t i = 0; i < s->n_contexts; i++)
		if (s->contexts[i].kind == SESSION_CONTEXT_ARCHIVE)
			archive_feed_close(&s->contexts[i].feed);
	rpc_call_stop_recv(s->call);
	pthread_join(s->receiver, NULL);
	s->receiving = false;
}

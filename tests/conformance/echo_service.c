#include "tests/conformance/echo_service.h"

#include <stdio.h>

#include "echo/v1/echo_service.server.h"

enum { CHUNK_MAX = 4 * 1024 * 1024 };

static void note_end(struct echo_service *s, int r)
{
	if (r == OK)
		atomic_fetch_add(&s->finished, 1);
	else if (r == E_CANCELLED)
		atomic_fetch_add(&s->cancelled, 1);
	else if (r == E_DEADLINE)
		atomic_fetch_add(&s->expired, 1);
	else if (r == E_UNAVAILABLE)
		atomic_fetch_add(&s->drained, 1);
	atomic_fetch_sub(&s->running, 1);
}

static int echo(void *self, struct rpc_call *call, const Echo__V1__EchoRequest *request,
		Echo__V1__EchoResponse *response, struct err *err)
{
	struct echo_service *s = self;

	(void)call;
	(void)err;
	response->echo = (Echo__V1__EchoRequest *)request;
	response->serial = atomic_fetch_add(&s->serial, 1) + 1;
	return OK;
}

static int code_of_reason(const char *reason)
{
	for (int code = -1; code > -CODE_COUNT_; code--)
		if (!strcmp(err_reason(code), reason))
			return code;
	return E_UNKNOWN;
}

static int fail_as_asked(void *self, struct rpc_call *call, const Echo__V1__FailRequest *request,
			 Echo__V1__FailResponse *response, struct err *err)
{
	(void)self;
	(void)call;
	(void)response;
	if (request->raw_text.len)
		fail(err, code_of_reason(request->reason), "%.*s", (int)request->raw_text.len,
		     (const char *)request->raw_text.data);
	else
		fail(err, code_of_reason(request->reason), "%s", request->text);
	err->needed_bytes = request->needed_bytes;
	err->free_bytes = request->free_bytes;
	err->retry_after_ms = request->retry_after_ms;
	return err->code;
}

static int sleep_for(void *self, struct rpc_call *call, const Echo__V1__SleepRequest *request,
		     Echo__V1__SleepResponse *response, struct err *err)
{
	struct echo_service *s = self;
	int r;

	(void)response;
	atomic_fetch_add(&s->running, 1);
	cancel_wait(rpc_call_cancel(call), request->ms);
	r = cancel_check(rpc_call_cancel(call), err);
	note_end(s, r);
	return r;
}

static int send_chunks(struct rpc_call *call, const Echo__V1__CountRequest *request, struct err *err)
{
	Echo__V1__Chunk chunk = ECHO__V1__CHUNK__INIT;
	int r = OK;

	if (request->size > CHUNK_MAX)
		return fail(err, E_INVALID, "chunks have at most %d bytes", CHUNK_MAX);
	chunk.data.len = request->size;
	chunk.data.data = arena_alloc(rpc_call_arena(call), request->size + 1);
	if (!chunk.data.data)
		return fail_nomem(err);
	for (chunk.serial = 1; chunk.serial <= request->count && r == OK; chunk.serial++)
		r = echo__v1__echo_service__count_send(call, &chunk, err);
	return r;
}

static int count(void *self, struct rpc_call *call, const Echo__V1__CountRequest *request, struct err *err)
{
	struct echo_service *s = self;
	int r;

	atomic_fetch_add(&s->running, 1);
	r = send_chunks(call, request, err);
	note_end(s, r);
	return r;
}

static int upload(void *self, struct rpc_call *call, Echo__V1__SumResponse *response, struct err *err)
{
	struct echo_service *s = self;
	const Echo__V1__Chunk *chunk;
	int r;

	atomic_fetch_add(&s->running, 1);
	while ((r = echo__v1__echo_service__upload_recv(call, &chunk, err)) > 0) {
		response->chunks++;
		response->bytes += chunk->data.len;
	}
	if (r == OK)
		atomic_fetch_add(&s->half_closed, 1);
	note_end(s, r);
	return r;
}

static int chat_on(struct echo_service *s, struct rpc_call *call, struct err *err)
{
	const Echo__V1__EchoRequest *request;
	int r;

	while ((r = echo__v1__echo_service__chat_recv(call, &request, err)) > 0) {
		Echo__V1__EchoResponse response = ECHO__V1__ECHO_RESPONSE__INIT;

		response.echo = (Echo__V1__EchoRequest *)request;
		response.serial = atomic_fetch_add(&s->serial, 1) + 1;
		r = echo__v1__echo_service__chat_send(call, &response, err);
		if (r < 0)
			return r;
	}
	return r;
}

static int chat(void *self, struct rpc_call *call, struct err *err)
{
	struct echo_service *s = self;
	int r;

	atomic_fetch_add(&s->running, 1);
	r = chat_on(s, call, err);
	note_end(s, r);
	return r;
}

static int who_am_i(void *self, struct rpc_call *call, const Echo__V1__WhoAmIRequest *request,
		    Echo__V1__WhoAmIResponse *response, struct err *err)
{
	const struct identity *id = rpc_call_identity(call);

	(void)self;
	(void)request;
	(void)err;
	response->kind = (Echo__V1__WhoAmIResponse__Kind)id->kind;
	response->uid = id->uid;
	response->gid = id->gid;
	response->pid = id->pid;
	response->common_name = (char *)id->common_name;
	response->alt_names = (char **)id->alt_names;
	response->n_alt_names = id->n_alt_names;
	response->peer = (char *)rpc_call_peer(call);
	return OK;
}

/* Waits for either token: each wakes the one that is waited on. */
static void fire(void *other)
{
	cancel_fire(other, E_UNAVAILABLE);
}

static int watch(void *self, struct rpc_call *call, const Echo__V1__WatchRequest *request, struct err *err)
{
	enum { FOREVER_MS = 3600 * 1000 };
	struct echo_service *s = self;
	Echo__V1__Chunk chunk = ECHO__V1__CHUNK__INIT;
	CLEANUP(cancel_unrefp) struct cancel *either = cancel_new();
	struct cancel_hook gone = { .fn = fire, .arg = either }, drained = { .fn = fire, .arg = either };
	int r;

	(void)request;
	if (!either)
		return fail_nomem(err);
	atomic_fetch_add(&s->running, 1);
	r = echo__v1__echo_service__watch_send(call, &chunk, err);
	cancel_hook(rpc_call_cancel(call), &gone);
	cancel_hook(rpc_call_drain(call), &drained);
	if (r == OK)
		cancel_wait(either, FOREVER_MS);
	cancel_unhook(rpc_call_drain(call), &drained);
	cancel_unhook(rpc_call_cancel(call), &gone);
	if (r == OK)
		r = cancel_check(rpc_call_cancel(call), err);
	if (r == OK)
		r = cancel_check(rpc_call_drain(call), err);
	note_end(s, r);
	return r;
}

static int stats(void *self, struct rpc_call *call, const Echo__V1__StatsRequest *request,
		 Echo__V1__StatsResponse *response, struct err *err)
{
	struct echo_service *s = self;

	(void)call;
	(void)request;
	(void)err;
	response->finished = atomic_load(&s->finished);
	response->cancelled = atomic_load(&s->cancelled);
	response->expired = atomic_load(&s->expired);
	response->drained = atomic_load(&s->drained);
	response->half_closed = atomic_load(&s->half_closed);
	response->running = atomic_load(&s->running);
	return OK;
}

struct rpc_binding echo_service_binding(struct echo_service *s)
{
	static const struct echo__v1__echo_service__impl impl = {
		.echo = echo,
		.echo_inline = echo,
		.fail = fail_as_asked,
		.sleep = sleep_for,
		.count = count,
		.upload = upload,
		.chat = chat,
		.who_am_i = who_am_i,
		.watch = watch,
		.stats = stats,
	};

	return echo__v1__echo_service__bind(&impl, s);
}

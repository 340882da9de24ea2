#include <stdio.h>

#include "proto/runtime/clock.h"
#include "service/rpc/identity.h"
#include "service/rpc/internal.h"
#include "service/rpc/target.h"
#include "service/rpc/trace.h"
#include "service/rpc/wire.h"

/* Calls beyond this are refused when they arrive: what bounds the calls that
 * wait for their request, which no pool counts. */
enum { ACTIVE_MAX = 4096 };
/* A client that gives up at its deadline resets the call, which may be seen here before the
 * deadline: gRPC sends the time that is left rounded up, by up to a hundredth, and it counts
 * from when the call came. */
enum { DEADLINE_SLACK_MS = 20, DEADLINE_ROUNDED = 100 };

#define NO_REQUEST "the call carries no request message"

int call_batch(struct rpc_call *c, struct op *op, const grpc_op *ops, size_t n)
{
	grpc_call *call = c->grpc; /* after the handover c may be gone */

	HANDOVER(op);
	return grpc_call_start_batch(call, ops, n, op, NULL) == GRPC_CALL_OK ? OK : E_INTERNAL;
}

struct rpc_stats *call_stats(const struct rpc_call *c)
{
	return &c->server->stats[c->entry ? c->entry->number : c->server->methods.len];
}

/* ---- life ---- */

static struct rpc_call *call_new(struct rpc_server *s)
{
	struct rpc_call *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->cancel = cancel_new();
	if (!c->cancel) {
		free(c);
		return NULL;
	}
	c->server = s;
	atomic_init(&c->refs, 1);
	grpc_call_details_init(&c->details);
	grpc_metadata_array_init(&c->metadata);
	arena_init(&c->arena, ACCEPT_ARENA_BYTES);
	arena_init(&c->message_arena, 0);
	c->status.text = grpc_empty_slice();
	pthread_mutex_init(&c->mu, NULL);
	cond_init_monotonic(&c->changed);
	return c;
}

int call_hold(struct rpc_call *c, const grpc_byte_buffer *buffer, size_t *held, struct err *err)
{
	size_t bytes = grpc_byte_buffer_length((grpc_byte_buffer *)buffer);
	int r = c->client ? client_hold(c->client, bytes, err) : OK;

	*held = r == OK && c->client ? bytes : 0;
	return r;
}

void call_release(struct rpc_call *c, size_t *held)
{
	if (*held)
		client_release(c->client, TAKE(*held));
}

static void client_forget(struct rpc_call *c)
{
	call_release(c, &c->ahead_bytes);
	call_release(c, &c->taken_bytes);
	call_release(c, &c->write_bytes);
	client_leave(c->client, c->entry->method->is_transfer);
}

static void call_destroy(struct rpc_call *c)
{
	if (c->read_buffer)
		grpc_byte_buffer_destroy(c->read_buffer);
	if (c->write_buffer)
		grpc_byte_buffer_destroy(c->write_buffer);
	wire_status_free(&c->status);
	arena_free(&c->message_arena);
	arena_free(&c->arena);
	grpc_metadata_array_destroy(&c->metadata);
	grpc_call_details_destroy(&c->details);
	if (c->grpc)
		grpc_call_unref(c->grpc);
	cancel_unref(c->cancel);
	if (c->client)
		client_forget(c);
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->mu);
	free(c);
}

static unsigned enter(struct rpc_call *c)
{
	struct rpc_server *s = c->server;
	unsigned active;

	pthread_mutex_lock(&s->mu);
	c->next = s->calls;
	c->link = &s->calls;
	if (c->next)
		c->next->link = &c->next;
	s->calls = c;
	active = ++s->active;
	c->late = s->draining;
	s->late += c->late;
	c->began_ns = clock_monotonic_ns();
	pthread_mutex_unlock(&s->mu);
	return active;
}

/* Out of the list, so that nobody finds the call any more. */
static void unlist(struct rpc_call *c)
{
	pthread_mutex_lock(&c->server->mu);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	pthread_mutex_unlock(&c->server->mu);
}

static void leave(struct rpc_server *s, bool late)
{
	pthread_mutex_lock(&s->mu);
	s->active--;
	s->late -= late;
	if (s->active == s->late)
		pthread_cond_broadcast(&s->quiet);
	pthread_mutex_unlock(&s->mu);
}

void call_ref(struct rpc_call *c)
{
	atomic_fetch_add(&c->refs, 1);
}

static bool take_missing_slot(struct rpc_server *s)
{
	unsigned missing = atomic_load(&s->missing_slots);

	while (missing)
		if (atomic_compare_exchange_weak(&s->missing_slots, &missing, missing - 1))
			return true;
	return false;
}

static bool deadline_passed(const struct rpc_call *c)
{
	gpr_timespec now = gpr_now(c->details.deadline.clock_type);
	int64_t left = gpr_time_to_millis(gpr_time_sub(c->details.deadline, now));
	int64_t whole = left + (clock_monotonic_ns() - c->began_ns) / 1000000;

	return left <= DEADLINE_SLACK_MS + whole / DEADLINE_ROUNDED;
}

int call_over(struct rpc_call *c, struct err *err)
{
	int r = cancel_check(c->cancel, err);

	if (r < 0)
		return r;
	if (deadline_passed(c))
		return fail(err, E_DEADLINE, "the deadline of the call has passed");
	return fail(err, E_CANCELLED, "the client has gone away");
}

static void account_end(const struct rpc_call *c, const struct err *err)
{
	const struct log_context *before;
	struct rpc_event event = {
		.method = c->entry ? c->entry->method->path : "unknown method",
		.peer = c->peer,
		.role = c->entry ? c->entry->method->role : RPC_ROLE_NONE,
		.target = c->target,
		.ns = clock_monotonic_ns() - c->began_ns,
		.err = err,
		.unheard = err && err->code == E_CANCELLED && !c->heard,
	};

	rpc_stats_handled(call_stats(c), err_grpc_code(err ? err->code : OK), event.ns);
	if (!c->server->log)
		return;
	before = log_enter(&c->context);
	c->server->log(c->server->log_arg, &event);
	log_enter(before);
}

/* Only now is it known: gRPC drops what a client has sent when that resets the call, and
 * then ends the read as it does when there was nothing. */
static void account_empty(struct rpc_call *c)
{
	struct err err = ERR_INIT;

	if (c->cancelled)
		call_over(c, &err);
	else
		fail(&err, E_INVALID, NO_REQUEST);
	account_end(c, &err);
}

void call_unref(struct rpc_call *c)
{
	struct rpc_server *s = c->server;
	bool late = c->late;

	if (atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	if (c->empty)
		account_empty(c);
	unlist(c);
	call_destroy(c);
	/* Before leave(): once nothing is active the queue may shut down, and a
	 * request armed then would abort the process. */
	if (take_missing_slot(s))
		call_request(s);
	leave(s, late);
}

void call_fire(struct rpc_call *c, int code)
{
	cancel_fire(c->cancel, code);
	pthread_mutex_lock(&c->mu);
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->mu);
}

/* ---- the end ---- */

static void run_deferred(struct deferred *list)
{
	while (list) {
		struct deferred *d = list;

		list = d->next;
		d->fn(d->p);
		free(d);
	}
}

static void on_finished(struct op *op, UNUSED bool ok)
{
	struct rpc_call *c = op->owner;

	call_watch_disarm(c);
	call_unref(c);
}

static size_t finish_ops(struct rpc_call *c, grpc_op ops[3])
{
	size_t n = 0;

	memset(ops, 0, 3 * sizeof *ops);
	if (!c->headers_sent)
		ops[n++].op = GRPC_OP_SEND_INITIAL_METADATA;
	c->headers_sent = true;
	if (c->write_buffer) {
		rpc_count(&call_stats(c)->sent, grpc_byte_buffer_length(c->write_buffer));
		ops[n].op = GRPC_OP_SEND_MESSAGE;
		ops[n++].data.send_message.send_message = c->write_buffer;
	}
	ops[n].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
	ops[n].data.send_status_from_server.status = c->status.code;
	ops[n].data.send_status_from_server.status_details = &c->status.text;
	ops[n].data.send_status_from_server.trailing_metadata = c->status.trailing;
	ops[n++].data.send_status_from_server.trailing_metadata_count = c->status.n_trailing;
	return n;
}

void call_finish(struct rpc_call *c, struct err *err, const ProtobufCMessage *response)
{
	struct deferred *deferred = TAKE(c->deferred);
	struct err packing = ERR_INIT;
	grpc_op ops[3];
	size_t n;

	if (!err && response &&
	    (wire_pack(response, &c->write_buffer, &packing) < 0 ||
	     call_hold(c, c->write_buffer, &c->write_bytes, &packing) < 0)) {
		if (c->write_buffer)
			grpc_byte_buffer_destroy(TAKE(c->write_buffer));
		err = &packing;
	}
	if (!c->empty)
		account_end(c, err);
	wire_status_init(&c->status, err, c->context.request_id);
	n = finish_ops(c, ops);
	c->finish = (struct op){ on_finished, c };
	call_watch_arm(c, WATCH_SEND);
	if (call_batch(c, &c->finish, ops, n) < 0) {
		grpc_call_cancel(c->grpc, NULL);
		on_finished(&c->finish, false);
	}
	/* The call may be gone: the client does not wait for these. */
	run_deferred(deferred);
}

/* Ends a call that no handler has seen. */
static void refuse(struct rpc_call *c, int code, const char *text)
{
	struct err err = ERR_INIT;

	fail(&err, code, "%s", text);
	call_finish(c, &err, NULL);
}

/* ---- running the handler ---- */

void call_note_target(struct rpc_call *c, const ProtobufCMessage *request)
{
	if (!c->target && c->entry->method->role >= RPC_ROLE_WRITE)
		c->target = target_of(c->entry->method, request, &c->arena);
}

static int take_request(struct rpc_call *c, ProtobufCMessage **ret_request, struct err *err)
{
	int r;

	*ret_request = NULL;
	if (c->entry->method->client_streaming)
		return OK;
	r = wire_unpack(c->read_buffer, c->entry->method->input, &c->arena, ret_request, err);
	grpc_byte_buffer_destroy(TAKE(c->read_buffer));
	if (r == OK)
		call_note_target(c, *ret_request);
	return r;
}

static int new_response(struct rpc_call *c, ProtobufCMessage **ret_response, struct err *err)
{
	const ProtobufCMessageDescriptor *type = c->entry->method->output;
	ProtobufCMessage *m;

	*ret_response = NULL;
	if (c->entry->method->server_streaming)
		return OK;
	m = arena_alloc(&c->arena, type->sizeof_message);
	if (!m)
		return fail_nomem(err);
	protobuf_c_message_init(type, m);
	*ret_response = m;
	return OK;
}

static int handle(struct rpc_call *c, ProtobufCMessage **ret_response, struct err *err)
{
	const struct method_entry *e = c->entry;
	const struct log_context *before;
	ProtobufCMessage *request;
	int r;

	r = take_request(c, &request, err);
	if (r < 0)
		return r;
	c->arena.cap = c->arena.used + HANDLER_ARENA_BYTES;
	r = new_response(c, ret_response, err);
	if (r < 0)
		return r;
	before = log_enter(&c->context);
	r = e->handler(e->self, c, request, *ret_response, e->impl, err);
	log_enter(before);
	if (r <= 0)
		return r;
	return fail(err, E_INTERNAL, "the handler returned %d, which is no error code", r);
}

/* On a pool thread, or on a poller for inline methods. */
static void run(void *arg)
{
	struct rpc_call *c = arg;
	struct err err = ERR_INIT;
	ProtobufCMessage *response = NULL;
	int r = OK, settled;

	/* It may have waited for its thread too long. A stream's reads tell better why. */
	if (!c->entry->method->client_streaming)
		r = cancel_check(c->cancel, &err);
	if (r == OK)
		r = handle(c, &response, &err);
	settled = call_settle(c, r == OK ? &err : NULL);
	if (r == OK)
		r = settled;
	if (r < 0)
		err.code = r;
	call_finish(c, r < 0 ? &err : NULL, response);
}

/* Without a thread: the service finishes the call by itself. */
static void run_event_driven(struct rpc_call *c)
{
	struct err err = ERR_INIT;
	ProtobufCMessage *request;

	if (take_request(c, &request, &err) < 0)
		call_finish(c, &err, NULL);
	else
		c->entry->start(c->entry->self, c, request);
}

static struct pool *pool_of(const struct rpc_call *c)
{
	const struct rpc_method *m = c->entry->method;

	return m->client_streaming || m->server_streaming ? c->server->streams : c->server->pool;
}

static void dispatch(struct rpc_call *c)
{
	struct err err = ERR_INIT;

	if (c->entry->start)
		run_event_driven(c);
	else if (c->entry->is_inline)
		run(c);
	else if (pool_run(pool_of(c), run, c, &err) < 0)
		call_finish(c, &err, NULL);
}

/* ---- arrival ---- */

static void on_request(struct op *op, bool ok)
{
	struct rpc_call *c = op->owner;
	struct err err = ERR_INIT;

	call_watch_disarm(c);
	call_note_read(c, ok);
	if (c->read_buffer) {
		c->heard = true;
		dispatch(c);
	} else if (c->read_problem) {
		call_read_error(c, &err);
		call_finish(c, &err, NULL);
	} else {
		c->empty = true;
		refuse(c, E_INVALID, NO_REQUEST);
	}
	call_unref(c);
}

static void on_close(struct op *op, UNUSED bool ok)
{
	struct rpc_call *c = op->owner;
	void (*on_closed)(struct rpc_call *);

	if (c->cancelled) {
		pthread_mutex_lock(&c->mu);
		c->closed = true;
		pthread_mutex_unlock(&c->mu);
		call_fire(c, deadline_passed(c) ? E_DEADLINE : E_CANCELLED);
		pthread_mutex_lock(&c->mu);
		on_closed = c->on_closed;
		pthread_mutex_unlock(&c->mu);
		if (on_closed)
			on_closed(c);
	}
	call_unref(c);
}

static int watch_close(struct rpc_call *c, struct err *err)
{
	grpc_op op = { 0 };

	op.op = GRPC_OP_RECV_CLOSE_ON_SERVER;
	op.data.recv_close_on_server.cancelled = &c->cancelled;
	c->close = (struct op){ on_close, c };
	call_ref(c);
	if (call_batch(c, &c->close, &op, 1) == OK)
		return OK;
	call_unref(c);
	return fail(err, E_INTERNAL, "the call cannot be watched");
}

static void read_request(struct rpc_call *c)
{
	call_watch_arm(c, WATCH_RECV);
	if (call_start_read(c, on_request) == OK)
		return;
	call_watch_disarm(c);
	refuse(c, E_INTERNAL, "the request cannot be read");
}

static void begin(struct rpc_call *c, unsigned active)
{
	struct err err = ERR_INIT;

	trace_of_call(&c->metadata, &c->context);
	c->entry = methods_find(&c->server->methods, slice_bytes(&c->details.method));
	rpc_count(&call_stats(c)->started, 1);
	if (watch_close(c, &err) < 0 || identity_of_call(c, &err) < 0)
		call_finish(c, &err, NULL);
	else if (c->late)
		refuse(c, E_UNAVAILABLE, "the service is shutting down");
	else if (!c->entry)
		refuse(c, E_UNIMPLEMENTED, "this server has no such method");
	else if (active > ACTIVE_MAX)
		refuse(c, E_BUSY, "too many calls at once: try again later");
	else if (identity_check_role(c, &err) < 0 ||
		 clients_enter(c->server->clients, c->client_key, c->entry->method->is_transfer, &c->client, &err) < 0)
		call_finish(c, &err, NULL);
	else if (!c->entry->method->client_streaming)
		read_request(c);
	else {
		c->heard = true;
		call_stream_read(c);
		dispatch(c);
	}
}

static void on_accept(struct op *op, bool ok)
{
	struct rpc_call *c = op->owner;

	if (!ok) { /* the server shuts down */
		call_destroy(c);
		return;
	}
	/* Before anything that can end the call: see call_unref(). */
	unsigned active = enter(c);

	call_request(c->server);
	begin(c, active);
}

void call_request(struct rpc_server *s)
{
	struct rpc_call *c = call_new(s);

	if (c) {
		c->accept = (struct op){ on_accept, c };
		HANDOVER(&c->accept);
		if (grpc_server_request_call(s->grpc, &c->grpc, &c->details, &c->metadata, s->cq, s->cq, &c->accept) ==
		    GRPC_CALL_OK)
			return;
		call_destroy(c);
	}
	atomic_fetch_add(&s->missing_slots, 1);
}

/* ---- what handlers see ---- */

const struct identity *rpc_call_identity(const struct rpc_call *call)
{
	return &call->identity;
}

const char *rpc_call_peer(const struct rpc_call *call)
{
	return call->peer;
}

struct cancel *rpc_call_cancel(struct rpc_call *call)
{
	return call->cancel;
}

struct cancel *rpc_call_drain(struct rpc_call *call)
{
	return call->server->drain;
}

struct arena *rpc_call_arena(struct rpc_call *call)
{
	return &call->arena;
}

int rpc_call_defer(struct rpc_call *call, void (*fn)(void *), void *p, struct err *err)
{
	struct deferred *d = malloc(sizeof *d);

	if (!d) {
		fn(p);
		return fail_nomem(err);
	}
	*d = (struct deferred){ fn, p, call->deferred };
	call->deferred = d;
	return OK;
}

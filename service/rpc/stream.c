#include "proto/runtime/clock.h"
#include "service/rpc/internal.h"
#include "service/rpc/wire.h"

/* ---- receiving ---- */

int call_start_read(struct rpc_call *c, void (*done)(struct op *, bool))
{
	grpc_op op = { 0 };

	op.op = GRPC_OP_RECV_MESSAGE;
	op.data.recv_message.recv_message = &c->read_buffer;
	c->read = (struct op){ done, c };
	call_ref(c);
	if (call_batch(c, &c->read, &op, 1) == OK)
		return OK;
	call_unref(c);
	return E_INTERNAL;
}

/* A broken stream ends in a NULL message, as a half-close does. Only gRPC's flag
 * tells them apart: RECV_CLOSE may be seen later, by another poller. */
void call_note_read(struct rpc_call *c, bool ok)
{
	if (grpc_call_failed_before_recv_message(c->grpc))
		c->read_problem = READ_BROKEN;
	else if (!ok)
		c->read_problem = READ_REFUSED;
	else if (c->read_buffer && call_hold(c, c->read_buffer, &c->ahead_bytes, NULL) < 0)
		c->read_problem = READ_TOO_MANY;
	if (c->read_buffer)
		rpc_count(&call_stats(c)->received, grpc_byte_buffer_length(c->read_buffer));
	if (c->read_problem && c->read_buffer)
		grpc_byte_buffer_destroy(TAKE(c->read_buffer));
}

int call_read_error(struct rpc_call *c, struct err *err)
{
	if (c->read_problem == READ_REFUSED)
		return fail(err, E_LIMIT, "a message is larger than %zu bytes, or cannot be decompressed",
			    c->server->options.message_bytes);
	if (c->read_problem == READ_TOO_MANY)
		return client_refuse_bytes(c->client, err);
	return call_over(c, err);
}

static void read_done(struct rpc_call *c)
{
	pthread_mutex_lock(&c->mu);
	c->reading = false;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->mu);
}

static void on_read(struct op *op, bool ok)
{
	struct rpc_call *c = op->owner;

	call_note_read(c, ok);
	read_done(c);
	call_unref(c);
}

void call_stream_read(struct rpc_call *c)
{
	pthread_mutex_lock(&c->mu);
	c->reading = true;
	pthread_mutex_unlock(&c->mu);
	if (call_start_read(c, on_read) == OK)
		return;
	c->read_problem = READ_BROKEN;
	read_done(c);
}

/* A token that was fired by us ends the wait; one that gRPC's end of the call has
 * fired does not, since then the read ends too, and knows more about why. */
static bool worth_waiting(const struct rpc_call *c)
{
	return c->reading && !c->recv_stopped && (c->closed || !cancel_fired(c->cancel));
}

void rpc_call_stop_recv(struct rpc_call *call)
{
	pthread_mutex_lock(&call->mu);
	call->recv_stopped = true;
	pthread_cond_broadcast(&call->changed);
	pthread_mutex_unlock(&call->mu);
}

static bool recv_stopped(struct rpc_call *c)
{
	bool stopped;

	pthread_mutex_lock(&c->mu);
	stopped = c->recv_stopped;
	pthread_mutex_unlock(&c->mu);
	return stopped;
}

/* OK when the read in flight is done, or nobody wants it any more. */
static int wait_read(struct rpc_call *c, struct err *err)
{
	int64_t limit = c->server->options.recv_timeout_ms;
	struct timespec until = clock_deadline(limit);
	int rc = 0;
	bool reading;

	pthread_mutex_lock(&c->mu);
	while (worth_waiting(c) && !rc)
		rc = pthread_cond_timedwait(&c->changed, &c->mu, &until);
	reading = c->reading && !c->recv_stopped;
	pthread_mutex_unlock(&c->mu);
	if (!reading)
		return OK;
	if (cancel_fired(c->cancel))
		return cancel_check(c->cancel, err);
	return fail(err, E_DEADLINE, "the client sent nothing for %lld ms", (long long)limit);
}

int rpc_call_recv(struct rpc_call *call, ProtobufCMessage **ret_message, struct err *err)
{
	grpc_byte_buffer *buffer;
	int r;

	if (call->read_over || recv_stopped(call))
		return 0;
	r = wait_read(call, err);
	if (r == OK && recv_stopped(call))
		return 0;
	if (r == OK && call->read_problem)
		r = call_read_error(call, err);
	if (r == OK)
		r = cancel_check(call->cancel, err);
	if (r < 0)
		return r;
	if (!call->read_buffer) {
		call->read_over = true;
		return 0;
	}
	buffer = TAKE(call->read_buffer);
	call_release(call, &call->taken_bytes);
	call->taken_bytes = TAKE(call->ahead_bytes);
	call_stream_read(call); /* one ahead: it arrives while the handler works */
	arena_reset(&call->message_arena, 0);
	r = wire_unpack(buffer, call->entry->method->input, &call->message_arena, ret_message, err);
	grpc_byte_buffer_destroy(buffer);
	if (r < 0)
		return r;
	call_note_target(call, *ret_message);
	return 1;
}

/* ---- sending ---- */

static void write_done(struct rpc_call *c, bool ok)
{
	pthread_mutex_lock(&c->mu);
	c->writing = false;
	c->write_failed = !ok;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->mu);
}

static void on_written(struct op *op, bool ok)
{
	struct rpc_call *c = op->owner;

	grpc_byte_buffer_destroy(TAKE(c->write_buffer));
	call_release(c, &c->write_bytes);
	call_watch_disarm(c); /* before the next one is armed */
	write_done(c, ok);
	if (c->on_sent)
		c->on_sent(c, ok);
	call_unref(c);
}

int call_start_write(struct rpc_call *c, const ProtobufCMessage *message, struct err *err)
{
	grpc_op ops[2] = { 0 };
	size_t n = 0;

	if (message && wire_pack(message, &c->write_buffer, err) < 0)
		return err->code;
	if (message && call_hold(c, c->write_buffer, &c->write_bytes, err) < 0) {
		grpc_byte_buffer_destroy(TAKE(c->write_buffer));
		return err->code;
	}
	if (!c->headers_sent)
		ops[n++].op = GRPC_OP_SEND_INITIAL_METADATA;
	c->headers_sent = true;
	if (message) {
		rpc_count(&call_stats(c)->sent, grpc_byte_buffer_length(c->write_buffer));
		ops[n].op = GRPC_OP_SEND_MESSAGE;
		ops[n++].data.send_message.send_message = c->write_buffer;
	}
	c->write = (struct op){ on_written, c };
	pthread_mutex_lock(&c->mu);
	c->writing = true;
	pthread_mutex_unlock(&c->mu);
	call_ref(c);
	call_watch_arm(c, WATCH_SEND); /* the handler may be long in making the next one */
	if (call_batch(c, &c->write, ops, n) == OK)
		return OK;
	call_watch_disarm(c);
	grpc_byte_buffer_destroy(TAKE(c->write_buffer));
	call_release(c, &c->write_bytes);
	call_unref(c);
	write_done(c, false);
	return fail(err, E_INTERNAL, "the message cannot be sent");
}

/* Waits until flow control has taken the message. After the timeout the call is
 * cancelled, and its end awaited: the operation must not outlive the call's thread. */
static bool wait_write(struct rpc_call *c)
{
	struct timespec until = clock_deadline(c->server->options.send_timeout_ms);
	bool timely;
	int rc = 0;

	pthread_mutex_lock(&c->mu);
	while (c->writing && !rc)
		rc = pthread_cond_timedwait(&c->changed, &c->mu, &until);
	timely = !c->writing;
	pthread_mutex_unlock(&c->mu);
	if (timely)
		return true;
	cancel_fire(c->cancel, E_DEADLINE);
	grpc_call_cancel_with_status(c->grpc, GRPC_STATUS_DEADLINE_EXCEEDED, "the client took no data in time", NULL);
	pthread_mutex_lock(&c->mu);
	while (c->writing)
		pthread_cond_wait(&c->changed, &c->mu);
	pthread_mutex_unlock(&c->mu);
	return false;
}

int call_settle(struct rpc_call *call, struct err *err)
{
	if (!wait_write(call))
		return fail(err, E_DEADLINE, "the client took no data for %lld ms",
			    (long long)call->server->options.send_timeout_ms);
	return call->write_failed ? call_over(call, err) : OK;
}

/* NULL: the headers alone. */
int rpc_call_send(struct rpc_call *call, const ProtobufCMessage *message, struct err *err)
{
	struct err local = ERR_INIT, *e = err ? err : &local;
	int r = cancel_check(call->cancel, e);

	if (r == OK)
		r = call_settle(call, e);
	return r == OK ? call_start_write(call, message, e) : r;
}

int rpc_call_begin(struct rpc_call *call, struct err *err)
{
	return call->headers_sent ? OK : rpc_call_send(call, NULL, err);
}

#include "service/rpc/server.h"

#include "proto/runtime/clock.h"
#include "proto/runtime/sanitize.h"
#include "service/rpc/channelz.h"
#include "service/rpc/connections.h"
#include "service/rpc/core_log.h"
#include "service/rpc/credentials.h"
#include "service/rpc/internal.h"
#include "service/rpc/poller.h"
#include "service/rpc/reflection.h"

enum {
	SLOTS = 16, /* requests armed on the queue; 1 to 128 measured the same */
	/* A fuse against exhaustion, no backpressure: calls fail when it blows. */
	QUOTA_BYTES = 128 * 1024 * 1024,
	/* Bytes that a client may send ahead of a slow handler, for each stream:
	 * instead of gRPC's estimator, which opens windows of 4 MiB. */
	LOOKAHEAD_BYTES = 512 * 1024,
	/* What an idle connection has ready for the first bytes that come; a busy one reads
	 * more each time, as gRPC sees how much there is. */
	READ_BYTES = 1024,
	IDLE_MS = 30 * 60 * 1000,
	HANDSHAKE_MS = 10 * 1000,
	KEEPALIVE_MS = 60 * 1000,
	KEEPALIVE_TIMEOUT_MS = 20 * 1000,
	/* Calls that a drain cancels may still say why they end. */
	LAST_WORDS_MS = 500,
	/* How long clients are waited for when their calls are over. gRPC 1.51 forgets a call
	 * that comes in the very moment of its shutdown: nobody is given it, and it holds its
	 * connection open. A client that does not answer the GOAWAY's ping does so, too. */
	LINGER_MS = 1000,
	/* How often a drain looks for connections whose calls are over. */
	FAREWELL_MS = 20,
	/* How long those that were sent away are waited for: a call that comes after gRPC's
	 * shutdown ends with CANCELLED, which nobody tries again. */
	DEPARTURE_MS = 250,
	DEPARTURE_LOOK_MS = 2,
};

static void fill_defaults(struct rpc_server_options *o)
{
#define DEFAULT(field, value) o->field = o->field ? o->field : (value)
	DEFAULT(pollers, 1);
	DEFAULT(handlers, 64);
	DEFAULT(queued, 64);
	DEFAULT(streams_per_connection, 128);
	DEFAULT(message_bytes, 4 * 1024 * 1024);
	DEFAULT(metadata_bytes, 16 * 1024);
	DEFAULT(send_timeout_ms, 60 * 1000);
	DEFAULT(recv_timeout_ms, 60 * 1000);
	DEFAULT(grace_ms, 10 * 1000);
	DEFAULT(client.calls, UINT32_MAX);
	DEFAULT(client.transfers, UINT32_MAX);
	DEFAULT(client.bytes, UINT64_MAX);
#undef DEFAULT
}

static grpc_arg number(const char *key, int64_t value)
{
	grpc_arg arg = { .type = GRPC_ARG_INTEGER, .key = (char *)key };

	arg.value.integer = value > INT32_MAX ? INT32_MAX : (int)value;
	return arg;
}

static void create_grpc(struct rpc_server *s)
{
	const struct rpc_server_options *o = &s->options;
	grpc_arg quota = { .type = GRPC_ARG_POINTER, .key = (char *)GRPC_ARG_RESOURCE_QUOTA };
	grpc_arg list[16];
	grpc_channel_args args = { 0, list };

	s->quota = grpc_resource_quota_create("imaged");
	grpc_resource_quota_resize(s->quota, QUOTA_BYTES);
	quota.value.pointer.p = s->quota;
	quota.value.pointer.vtable = grpc_resource_quota_arg_vtable();
	list[args.num_args++] = quota;
	list[args.num_args++] = number(GRPC_ARG_MAX_CONCURRENT_STREAMS, o->streams_per_connection);
	list[args.num_args++] = number(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int64_t)o->message_bytes);
	list[args.num_args++] = number(GRPC_ARG_MAX_METADATA_SIZE, (int64_t)o->metadata_bytes);
	list[args.num_args++] = number(GRPC_ARG_HTTP2_BDP_PROBE, 0);
	list[args.num_args++] = number(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, LOOKAHEAD_BYTES);
	list[args.num_args++] = number("grpc.experimental.tcp_read_chunk_size", READ_BYTES);
	list[args.num_args++] = number(GRPC_ARG_ALLOW_REUSEPORT, 0);
	list[args.num_args++] = number(GRPC_ARG_ENABLE_CHANNELZ, o->channelz);
	list[args.num_args++] = number(GRPC_ARG_MAX_CONNECTION_IDLE_MS, IDLE_MS);
	list[args.num_args++] = number(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, HANDSHAKE_MS);
	list[args.num_args++] = number(GRPC_ARG_KEEPALIVE_TIME_MS, KEEPALIVE_MS);
	list[args.num_args++] = number(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, KEEPALIVE_TIMEOUT_MS);
	list[args.num_args++] = number(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
	/* As many pings as a client likes: to gRPC 1.51 each one too many is an error of some KiB, kept
	 * as long as the client reads nothing. Without the count it stops to read such a client. */
	list[args.num_args++] = number(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
	s->grpc = grpc_server_create(&args, NULL);
	s->cq = grpc_completion_queue_create_for_next(NULL);
	grpc_server_register_completion_queue(s->grpc, s->cq, NULL);
}

int rpc_server_prepare(struct err *err)
{
	/* Else gRPC 1.51 reads into pieces of 8 KiB whatever READ_BYTES says, and each idle
	 * connection holds one. */
	if (setenv("GRPC_EXPERIMENTS", "-tcp_read_chunks", true) < 0)
		return fail_errno(err, "set an environment variable");
	return connections_prepare(err);
}

static int create_parts(struct rpc_server *s, struct err *err)
{
	int r;

	s->drain = cancel_new();
	if (!s->drain)
		return fail_nomem(err);
	r = clients_new(&s->options.client, &s->clients, err);
	if (r == OK)
		r = pool_new("rpc-handler", s->options.handlers, s->options.queued, &s->pool, err);
	if (r == OK)
		r = pool_new("rpc-stream", 2 * s->options.handlers, s->options.queued, &s->streams, err);
	if (r == OK)
		r = health_new(&s->health, err);
	if (r == OK)
		r = reflection_new(&s->reflection, err);
	if (r == OK && s->options.channelz)
		r = channelz_new(&s->channelz, err);
	return r;
}

int rpc_server_new(const struct rpc_server_options *options, rpc_log_fn *log, void *log_arg,
		   struct rpc_server **ret_server, struct err *err)
{
	CLEANUP(rpc_server_freep) struct rpc_server *s = calloc(1, sizeof *s);
	int r;

	if (!s)
		return fail_nomem(err);
	s->options = *options;
	fill_defaults(&s->options);
	s->log = log;
	s->log_arg = log_arg;
	pthread_mutex_init(&s->mu, NULL);
	cond_init_monotonic(&s->quiet);
	cond_init_monotonic(&s->relief_wake);
	call_watches_init(&s->watches, s->options.recv_timeout_ms, s->options.send_timeout_ms);
	core_log_attach(log, log_arg);
	grpc_init();
	create_grpc(s);
	r = create_parts(s, err);
	if (r < 0)
		return r;
	*ret_server = TAKE(s);
	return OK;
}

int rpc_server_add(struct rpc_server *s, const struct rpc_binding *binding, struct err *err)
{
	int r;

	if (s->started)
		return fail(err, E_INTERNAL, "the service %s is added after the start", binding->service->name);
	r = methods_add(&s->methods, binding, err);
	if (r == OK)
		r = health_add_service(s->health, binding->service->name, err);
	if (r == OK)
		r = reflection_add_service(s->reflection, binding->service, err);
	return r;
}

static int add_channelz(struct rpc_server *s, struct err *err)
{
	struct rpc_binding channelz = channelz_binding(s->channelz);

	return rpc_server_add(s, &channelz, err);
}

static int add_standard_services(struct rpc_server *s, struct err *err)
{
	struct rpc_binding health = health_binding(s->health);
	struct rpc_binding v1 = reflection_v1_binding(s->reflection);
	struct rpc_binding v1alpha = reflection_v1alpha_binding(s->reflection);
	int r;

	r = rpc_server_add(s, &health, err);
	if (r == OK)
		r = rpc_server_add(s, &v1, err);
	if (r == OK)
		r = rpc_server_add(s, &v1alpha, err);
	if (r == OK && s->channelz)
		r = add_channelz(s, err);
	if (r == OK)
		health_take_methods(s->health, &s->methods);
	return r;
}

int rpc_server_start(struct rpc_server *s, struct err *err)
{
	int r = add_standard_services(s, err);

	if (r < 0)
		return r;
	s->stats = calloc(s->methods.len + 1, sizeof *s->stats);
	if (!s->stats)
		return fail_nomem(err);
	s->started = true;
	grpc_server_start(s->grpc);
	for (int i = 0; i < SLOTS; i++)
		call_request(s);
	health_start(s->health);
	r = pollers_start(s, err);
	if (r == OK && s->unix_listener)
		r = unix_listener_start(s->unix_listener, err);
	return r;
}

unsigned rpc_server_active(const struct rpc_server *s)
{
	struct rpc_server *m = (struct rpc_server *)s; /* for the lock */
	unsigned active;

	pthread_mutex_lock(&m->mu);
	active = m->active;
	pthread_mutex_unlock(&m->mu);
	return active;
}

/* ---- the end ---- */

static void on_shutdown(struct op *op, UNUSED bool ok)
{
	struct rpc_server *s = op->owner;

	pthread_mutex_lock(&s->mu);
	s->shutdown_done = true;
	pthread_cond_broadcast(&s->quiet);
	pthread_mutex_unlock(&s->mu);
}

static void wait_until(struct rpc_server *s, int64_t now, int64_t until)
{
	struct timespec deadline = clock_deadline(until - now);

	pthread_cond_timedwait(&s->quiet, &s->mu, &deadline);
}

/* Both with the lock held. */
static bool calls_are_over(const struct rpc_server *s)
{
	return s->active == s->late;
}

static bool all_is_over(const struct rpc_server *s)
{
	return !s->active && s->shutdown_done;
}

/* Whether it came true in time. */
static bool wait_for(struct rpc_server *s, bool (*over)(const struct rpc_server *s), int64_t ms)
{
	int64_t now = clock_monotonic_ms(), end = now + ms;
	bool is_over;

	pthread_mutex_lock(&s->mu);
	while (!over(s) && now < end) {
		wait_until(s, now, end);
		now = clock_monotonic_ms();
	}
	is_over = over(s);
	pthread_mutex_unlock(&s->mu);
	return is_over;
}

static void wait_shutdown(struct rpc_server *s)
{
	pthread_mutex_lock(&s->mu);
	while (!all_is_over(s))
		pthread_cond_wait(&s->quiet, &s->mu);
	pthread_mutex_unlock(&s->mu);
}

/* From now on calls are refused when they arrive. */
static void refuse_calls(struct rpc_server *s)
{
	pthread_mutex_lock(&s->mu);
	s->draining = true;
	pthread_mutex_unlock(&s->mu);
}

/* Clients of unix sockets whose calls are over go to who listens next: until the last call
 * is over, they would be refused here again and again. How many are still there. */
static unsigned send_idle_away(struct rpc_server *s)
{
	struct connections *connections;
	unsigned there;

	if (!s->unix_listener)
		return 0;
	connections = unix_listener_connections(s->unix_listener);
	pthread_mutex_lock(&s->mu);
	for (struct rpc_call *c = s->calls; c; c = c->next)
		if (!c->late)
			connections_mark_busy(connections, atomic_load(&c->connection));
	there = connections_send_goaway(connections);
	pthread_mutex_unlock(&s->mu);
	return there;
}

static bool wait_for_calls(struct rpc_server *s, int64_t ms)
{
	int64_t end = clock_monotonic_ms() + ms;
	bool over;

	do {
		send_idle_away(s);
		over = wait_for(s, calls_are_over, FAREWELL_MS);
	} while (!over && clock_monotonic_ms() < end);
	return over;
}

static void wait_for_departures(struct rpc_server *s)
{
	struct timespec pause = { .tv_nsec = DEPARTURE_LOOK_MS * 1000000 };
	int64_t end = clock_monotonic_ms() + DEPARTURE_MS;

	while (send_idle_away(s) && clock_monotonic_ms() < end)
		nanosleep(&pause, NULL); /* the thread that would learn of it has ended */
}

/* Tells all handlers to stop. Tokens only wake somebody, so they may be fired
 * under the lock that keeps the calls in their list. */
static void fire_all(struct rpc_server *s)
{
	pthread_mutex_lock(&s->mu);
	for (struct rpc_call *c = s->calls; c; c = c->next)
		call_fire(c, E_UNAVAILABLE);
	pthread_mutex_unlock(&s->mu);
}

/* GOAWAY to all clients. With a ping, after whose answer gRPC closes the connection as
 * soon as it carries no call. */
static void begin_shutdown(struct rpc_server *s)
{
	s->shutdown = (struct op){ on_shutdown, s };
	HANDOVER(&s->shutdown);
	grpc_server_shutdown_and_notify(s->grpc, s->cq, &s->shutdown);
}

/* The shutdown comes after the replies. A connection that was told GOAWAY is closed in the
 * moment that its last reply is written; a client that writes just then, were it a window
 * update, fails with EPIPE, and gRPC's clients throw away what they have not read. In this
 * order it is the ping's answer that closes the connection, and who answers it has read
 * all that was sent before. */
void rpc_server_drain(struct rpc_server *s)
{
	if (!s->started || s->drained)
		return;
	s->drained = true;
	refuse_calls(s);
	health_end(s->health);
	cancel_fire(s->drain, E_UNAVAILABLE);
	if (s->unix_listener)
		unix_listener_stop(s->unix_listener);
	if (!s->n_pollers) { /* the start had failed: nobody is served, rpc_server_free() polls */
		begin_shutdown(s);
		return;
	}
	if (!wait_for_calls(s, s->options.grace_ms)) {
		fire_all(s);
		wait_for(s, calls_are_over, LAST_WORDS_MS);
	}
	wait_for_departures(s);
	begin_shutdown(s);
	wait_for(s, all_is_over, LINGER_MS);
	grpc_server_cancel_all_calls(s->grpc); /* and their connections */
	wait_shutdown(s);
}

/* gRPC stays as it is until the process ends: its shutdown waits for a thread of its
 * own that sleeps up to 10 seconds in poll after a write that the client never took.
 * Sanitizers want to see what it gives back. */
static void end_grpc(void)
{
#if SANITIZED
	grpc_shutdown_blocking();
#endif
}

/* Whether it was started or not, gRPC wants a shutdown before the destruction. */
static void destroy_grpc(struct rpc_server *s)
{
	if (!s->started)
		begin_shutdown(s);
	pool_free(s->pool);
	pool_free(s->streams);
	pollers_stop(s);
	grpc_server_destroy(s->grpc);
	grpc_completion_queue_destroy(s->cq);
	grpc_resource_quota_unref(s->quota);
	end_grpc();
	core_log_detach(s->log, s->log_arg);
}

void rpc_server_free(struct rpc_server *s)
{
	if (!s)
		return;
	rpc_server_drain(s);
	destroy_grpc(s);
	unix_listener_free(s->unix_listener);
	credentials_free(s->credentials);
	health_free(s->health);
	reflection_free(s->reflection);
	channelz_free(s->channelz);
	methods_free(&s->methods);
	free(s->stats);
	clients_free(s->clients);
	call_watches_free(&s->watches);
	cancel_unref(s->drain);
	for (size_t i = 0; i < s->n_addresses; i++)
		free(s->addresses[i]);
	free(s->addresses);
	pthread_cond_destroy(&s->relief_wake);
	pthread_cond_destroy(&s->quiet);
	pthread_mutex_destroy(&s->mu);
	free(s);
}

void rpc_server_freep(struct rpc_server **s)
{
	rpc_server_free(*s);
}

void rpc_server_load(const struct rpc_server *s, struct pool_load *ret_unary, struct pool_load *ret_streams)
{
	pool_load(s->pool, ret_unary);
	pool_load(s->streams, ret_streams);
}

const char *rpc_library_version(void)
{
	return grpc_version_string();
}

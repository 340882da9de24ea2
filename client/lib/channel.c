#include "client/lib/channel.h"

#include <grpc/grpc_security.h>
#include <grpc/support/log.h>
#include <grpc/support/time.h>

#include "client/lib/internal.h"
#include "grpc/health/v1/health.pb-c.h"

enum {
	MESSAGE_BYTES = 16 * 1024 * 1024,
	METADATA_BYTES = 16 * 1024,
	/* Without the bandwidth estimator, which would let a peer fill megabytes. */
	LOOKAHEAD_BYTES = 256 * 1024,
	CONNECT_MS = 10 * 1000,
	RECONNECT_FIRST_MS = 100,
	RECONNECT_MAX_MS = 5 * 1000,
	KEEPALIVE_MS = 60 * 1000,
	KEEPALIVE_TIMEOUT_MS = 20 * 1000,
};

/* ---- queues ------------------------------------------------------------------------- */

struct queue *client_queue_borrow(struct rpc_channel *c)
{
	struct queue *q;

	pthread_mutex_lock(&c->mu);
	q = c->idle;
	if (q)
		c->idle = q->next;
	pthread_mutex_unlock(&c->mu);
	if (q)
		return q;
	q = calloc(1, sizeof *q);
	if (q)
		q->cq = grpc_completion_queue_create_for_pluck(NULL);
	return q;
}

void client_queue_return(struct rpc_channel *c, struct queue *q)
{
	pthread_mutex_lock(&c->mu);
	q->next = c->idle;
	c->idle = q;
	pthread_mutex_unlock(&c->mu);
}

static void queue_free(struct queue *q)
{
	grpc_completion_queue_shutdown(q->cq);
	while (grpc_completion_queue_pluck(q->cq, NULL, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).type !=
	       GRPC_QUEUE_SHUTDOWN)
		;
	grpc_completion_queue_destroy(q->cq);
	free(q);
}

/* ---- open and close ------------------------------------------------------------------- */

/* A library does not write to its program's stderr; GRPC_VERBOSITY brings the
 * log of gRPC back. */
static void no_log(UNUSED gpr_log_func_args *args)
{
}

static void start_grpc(void)
{
	if (!getenv("GRPC_VERBOSITY"))
		gpr_set_log_function(no_log);
	grpc_init();
}

static grpc_arg arg_int(const char *key, int value)
{
	return (grpc_arg){ .type = GRPC_ARG_INTEGER, .key = (char *)key, .value.integer = value };
}

static grpc_arg arg_string(const char *key, const char *value)
{
	return (grpc_arg){ .type = GRPC_ARG_STRING, .key = (char *)key, .value.string = (char *)value };
}

static grpc_channel *create(const struct rpc_channel_options *o, const char *target, grpc_channel_credentials *creds)
{
	size_t max = o->message_bytes ? o->message_bytes : MESSAGE_BYTES;
	grpc_arg args[20] = {
		arg_int(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, max > INT32_MAX ? INT32_MAX : (int)max),
		arg_int(GRPC_ARG_MAX_METADATA_SIZE, METADATA_BYTES),
		arg_int(GRPC_ARG_HTTP2_BDP_PROBE, 0),
		arg_int(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, LOOKAHEAD_BYTES),
		arg_int(GRPC_ARG_ENABLE_HTTP_PROXY, 0),
		arg_int(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1),
		arg_int(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1),
		arg_int(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, CONNECT_MS),
		arg_int(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, RECONNECT_FIRST_MS),
		arg_int(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, RECONNECT_MAX_MS),
		arg_int(GRPC_ARG_KEEPALIVE_TIME_MS, KEEPALIVE_MS),
		arg_int(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, KEEPALIVE_TIMEOUT_MS),
		arg_string(GRPC_ARG_PRIMARY_USER_AGENT_STRING, "imaged-client/" IMAGED_VERSION),
	};
	grpc_channel_args list = { .num_args = 13, .args = args };

	if (o->service_config)
		args[list.num_args++] = arg_string(GRPC_ARG_SERVICE_CONFIG, o->service_config);
	if (o->server_name && o->ca_file)
		args[list.num_args++] = arg_string(GRPC_SSL_TARGET_NAME_OVERRIDE_ARG, o->server_name);
	return grpc_channel_create(target, creds, &list);
}

static int connect_target(struct rpc_channel *c, const struct rpc_channel_options *o, struct err *err)
{
	CLEANUP(freep) char *target = NULL;
	grpc_channel_credentials *creds;
	int r = client_address_target(o->address, &target, &c->is_unix, err);

	if (r < 0)
		return r;
	if (c->is_unix && o->ca_file)
		return fail(err, E_USAGE, "TLS is for tcp:// addresses; \"%s\" is a unix socket", o->address);
	r = client_credentials_load(o, &creds, err);
	if (r < 0)
		return r;
	c->channel = create(o, target, creds);
	grpc_channel_credentials_release(creds);
	return c->channel ? OK : fail_nomem(err);
}

static bool copy_name(const char *from, char **ret_to)
{
	*ret_to = from ? strdup(from) : NULL;
	return *ret_to || !from;
}

int rpc_channel_open(const struct rpc_channel_options *o, struct rpc_channel **ret_channel, struct err *err)
{
	CLEANUP(rpc_channel_closep) struct rpc_channel *c = calloc(1, sizeof *c);
	int r;

	if (!c)
		return fail_nomem(err);
	start_grpc();
	pthread_mutex_init(&c->mu, NULL);
	c->is_tls = o->ca_file;
	if (!copy_name(o->address, &c->address) || !copy_name(o->cert_file, &c->cert_file))
		return fail_nomem(err);
	r = client_headers_make(o, &c->headers, err);
	if (r == OK)
		r = connect_target(c, o, err);
	if (r < 0)
		return r;
	*ret_channel = TAKE(c);
	return OK;
}

void rpc_channel_close(struct rpc_channel *c)
{
	if (!c)
		return;
	while (c->idle) {
		struct queue *q = c->idle;

		c->idle = q->next;
		queue_free(q);
	}
	if (c->channel)
		grpc_channel_destroy(c->channel);
	client_headers_free(&c->headers);
	pthread_mutex_destroy(&c->mu);
	free(c->address);
	free(c->cert_file);
	free(c);
	grpc_shutdown_blocking();
}

void rpc_channel_closep(struct rpc_channel **c)
{
	rpc_channel_close(*c);
}

/* ---- connect -------------------------------------------------------------------------- */

/* A call that does not wait for a connection fails as soon as there can be none,
 * and tells why, which gRPC's own watch of the connection's state does not. The
 * standard health check is one that every server takes without a complaint. */
int rpc_channel_connect(struct rpc_channel *c, int64_t timeout_ms, struct err *err)
{
	static const struct rpc_method check = {
		.name = "Check",
		.path = "/grpc.health.v1.Health/Check",
		.input = &grpc__health__v1__health_check_request__descriptor,
		.output = &grpc__health__v1__health_check_response__descriptor,
	};
	const struct rpc_call_options options = { .timeout_ms = timeout_ms > 0 ? timeout_ms : CONNECT_MS };
	Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
	ProtobufCMessage *response = NULL;
	struct err reason = ERR_INIT;
	int r = rpc_call_unary(c, &check, &options, (const ProtobufCMessage *)&request, &response, &reason);

	if (r == OK)
		protobuf_c_message_free_unpacked(response, NULL);
	if (r == E_DEADLINE)
		return client_explain_silence(c, options.timeout_ms, err);
	if (err_grpc_code(r) != GRPC_CODE_UNAVAILABLE)
		return OK; /* whatever it answered, it is there */
	if (err)
		*err = reason;
	return r;
}

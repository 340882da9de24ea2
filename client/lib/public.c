#include "client/lib/public.h"

#include <stdio.h>

#include "client/lib/internal.h"
#include "imaged/v1/image_service.rpc.h"

/* ---- errors ------------------------------------------------------------------------- */

/* The client library words its advice for imagectl; C programs have options. */
static void name_options(const char *text, char *out, size_t size)
{
	static const struct {
		const char *flag, *option;
	} names[] = { { "--tlscacert", "ca_file" }, { "--tlscert", "cert_file" }, { "--tlskey", "key_file" } };
	size_t n = 0;

	while (*text && n + 1 < size) {
		size_t i = 0;

		while (i < ARRAY_LEN(names) && strncmp(text, names[i].flag, strlen(names[i].flag)) != 0)
			i++;
		if (i == ARRAY_LEN(names)) {
			out[n++] = *text++;
			continue;
		}
		text += strlen(names[i].flag);
		n += (size_t)snprintf(out + n, size - n, "%s", names[i].option);
		n = n < size ? n : size - 1;
	}
	out[n] = 0;
}

/* Gives the negative gRPC code. `reason` is the server's, which may be one that this
 * library does not know yet; empty for what failed here. */
static int give_error(const struct err *err, const char *reason, struct imaged_error *error)
{
	enum imaged_code code = (enum imaged_code)err_grpc_code(err->code);

	if (error) {
		*error = (struct imaged_error){
			.code = code,
			.retry_after_ms = err->retry_after_ms,
			.needed_bytes = err->needed_bytes,
			.free_bytes = err->free_bytes,
		};
		snprintf(error->reason, sizeof error->reason, "%s", *reason ? reason : err_reason(err->code));
		if (err->code == E_NO_DAEMON || err->code == E_USAGE)
			name_options(err->text, error->message, sizeof error->message);
		else
			snprintf(error->message, sizeof error->message, "%s", err->text);
	}
	return -(int)code;
}

/* ---- options ------------------------------------------------------------------------ */

static bool is_zero(const unsigned char *bytes, size_t n)
{
	while (n && !bytes[n - 1])
		n--;
	return !n;
}

/* A struct of a program that may have been built with an older header (the rest is
 * zero) or a newer one (what is not known here must be zero). */
static int copy_options(const void *from, size_t from_size, void *to, size_t to_size, const char *init, struct err *err)
{
	if (from_size < sizeof(size_t))
		return fail(err, E_USAGE, "the options were not set up with %s", init);
	if (from_size > to_size && !is_zero((const unsigned char *)from + to_size, from_size - to_size))
		return fail(err, E_USAGE,
			    "the options hold one that libimaged-client " IMAGED_VERSION " does not know");
	memcpy(to, from, from_size < to_size ? from_size : to_size);
	return OK;
}

static int read_call_options(const struct imaged_call_options *from, struct rpc_call_options *to, struct err *err)
{
	struct imaged_call_options o = IMAGED_CALL_OPTIONS_INIT;
	int r = from ? copy_options(from, from->size, &o, sizeof o, "IMAGED_CALL_OPTIONS_INIT", err) : OK;

	*to = (struct rpc_call_options){ .timeout_ms = o.timeout_ms, .cancel = (struct cancel *)o.cancel };
	return r;
}

/* ---- channels ----------------------------------------------------------------------- */

static int open_channel(const struct imaged_channel_options *from, struct rpc_channel **ret_channel, struct err *err)
{
	CLEANUP(freep) char *address = NULL;
	struct imaged_channel_options o = IMAGED_CHANNEL_OPTIONS_INIT;
	struct rpc_channel_options options;
	int r = from ? copy_options(from, from->size, &o, sizeof o, "IMAGED_CHANNEL_OPTIONS_INIT", err) : OK;

	if (r < 0)
		return r;
	if (!o.address) {
		address = client_address_default();
		if (!address)
			return fail_nomem(err);
	}
	options = (struct rpc_channel_options){
		.address = o.address ? o.address : address,
		.ca_file = o.ca_file,
		.cert_file = o.cert_file,
		.key_file = o.key_file,
		.server_name = o.server_name,
		.service_config = imaged__v1__image_service__rpc.service_config,
		.message_bytes = o.message_bytes,
	};
	return rpc_channel_open(&options, ret_channel, err);
}

int imaged_channel_open(const struct imaged_channel_options *options, struct imaged_channel **ret_channel,
			struct imaged_error *error)
{
	struct rpc_channel *channel;
	struct err err = ERR_INIT;

	if (open_channel(options, &channel, &err) < 0)
		return give_error(&err, "", error);
	*ret_channel = (struct imaged_channel *)channel;
	return 0;
}

int imaged_channel_connect(struct imaged_channel *channel, int64_t timeout_ms, struct imaged_error *error)
{
	struct err err = ERR_INIT;

	return rpc_channel_connect((struct rpc_channel *)channel, timeout_ms, &err) < 0 ? give_error(&err, "", error)
											: 0;
}

void imaged_channel_close(struct imaged_channel *channel)
{
	rpc_channel_close((struct rpc_channel *)channel);
}

const char *imaged_client_version(void)
{
	return IMAGED_VERSION;
}

/* ---- cancellation ------------------------------------------------------------------- */

struct imaged_cancel *imaged_cancel_new(void)
{
	return (struct imaged_cancel *)cancel_new();
}

void imaged_cancel_fire(struct imaged_cancel *cancel)
{
	cancel_fire((struct cancel *)cancel, E_CANCELLED);
}

void imaged_cancel_free(struct imaged_cancel *cancel)
{
	cancel_unref((struct cancel *)cancel);
}

/* ---- calls -------------------------------------------------------------------------- */

int client_public_call(struct imaged_channel *channel, const struct rpc_method *method,
		       const struct imaged_call_options *options, const ProtobufCMessage *request,
		       ProtobufCMessage **ret_response, struct imaged_error *error)
{
	char reason[CLIENT_REASON_MAX] = "";
	ProtobufCMessage *response = NULL;
	struct rpc_call_options o;
	struct err err = ERR_INIT;
	int r = read_call_options(options, &o, &err);

	if (r == OK)
		r = client_unary((struct rpc_channel *)channel, method, &o, request, &response, reason, &err);
	if (r < 0)
		return give_error(&err, reason, error);
	if (ret_response)
		*ret_response = response;
	else
		client_public_free_response(response);
	return 0;
}

void client_public_free_response(ProtobufCMessage *response)
{
	if (response)
		protobuf_c_message_free_unpacked(response, NULL);
}

int client_public_open(struct imaged_channel *channel, const struct rpc_method *method,
		       const struct imaged_call_options *options, const ProtobufCMessage *request,
		       struct rpc_stream **ret_stream, struct imaged_error *error)
{
	char reason[CLIENT_REASON_MAX] = "";
	struct rpc_call_options o;
	struct err err = ERR_INIT;
	int r = read_call_options(options, &o, &err);

	if (r == OK)
		r = client_stream_open((struct rpc_channel *)channel, method, &o, request, ret_stream, reason, &err);
	return r < 0 ? give_error(&err, reason, error) : 0;
}

int client_public_send(struct rpc_stream *s, const ProtobufCMessage *message, struct imaged_error *error)
{
	struct err err = ERR_INIT;

	return rpc_stream_send(s, message, &err) < 0 ? give_error(&err, "", error) : 0;
}

int client_public_close_send(struct rpc_stream *s, struct imaged_error *error)
{
	struct err err = ERR_INIT;

	return rpc_stream_close_send(s, &err) < 0 ? give_error(&err, "", error) : 0;
}

int client_public_next(struct rpc_stream *s, const ProtobufCMessage **ret_message, struct imaged_error *error)
{
	struct err err = ERR_INIT;
	int r = rpc_stream_next(s, ret_message, &err);

	return r < 0 ? give_error(&err, client_stream_reason(s), error) : r;
}

#include "service/rpc/channelz.h"

#include <grpc/grpc.h>
#include <grpc/support/alloc.h>
#include <pthread.h>

#include "grpc/channelz/v1/channelz.server.h"
#include "service/rpc/json_message.h"

#define M(name) Grpc__Channelz__V1__##name

enum { PAGE_MAX = 500 };

struct channelz {
	pthread_mutex_t mu;
	int64_t newest;	  /* all numbers up to it were looked at */
	int64_t *sockets; /* those that were open then, ascending */
	size_t n, cap;
};

int channelz_new(struct channelz **ret_channelz, struct err *err)
{
	struct channelz *z = calloc(1, sizeof *z);

	if (!z)
		return fail_nomem(err);
	pthread_mutex_init(&z->mu, NULL);
	*ret_channelz = z;
	return OK;
}

void channelz_free(struct channelz *z)
{
	if (!z)
		return;
	pthread_mutex_destroy(&z->mu);
	free(z->sockets);
	free(z);
}

/* The protocol forbids them. */
static int check_number(const char *name, int64_t number, struct err *err)
{
	return number < 0 ? fail(err, E_INVALID, "%s must not be negative", name) : OK;
}

/* Takes what gRPC has told; NULL: it knows nothing of that number. */
static int take_answer(char *json, const char *what, int64_t number, ProtobufCMessage *response, struct arena *arena,
		       struct err *err)
{
	int r;

	if (!json)
		return fail(err, E_NOT_FOUND, "there is no %s %lld", what, (long long)number);
	r = json_message_read(json, response, arena, err);
	gpr_free(json);
	if (r == E_BAD_CONTENT)
		r = fail(err, E_INTERNAL, "what gRPC tells of its %s cannot be read: %s", what, err->text);
	return r;
}

/* ---- the list of connections ---- */

/* The highest number that gRPC has given to anything: that of a server made for the purpose.
 * With the lock held, so that nobody else is told of it. */
static int newest_number(struct arena *arena, int64_t *ret_number, struct err *err)
{
	M(GetServersResponse) all = GRPC__CHANNELZ__V1__GET_SERVERS_RESPONSE__INIT;
	grpc_server *marker = grpc_server_create(NULL, NULL);
	int r;

	do {
		int64_t begin = *ret_number + 1;

		all = (M(GetServersResponse))GRPC__CHANNELZ__V1__GET_SERVERS_RESPONSE__INIT;
		r = take_answer(grpc_channelz_get_servers(begin), "servers", begin, &all.base, arena, err);
		for (size_t i = 0; r == OK && i < all.n_server; i++)
			if (all.server[i]->ref && all.server[i]->ref->server_id > *ret_number)
				*ret_number = all.server[i]->ref->server_id;
	} while (r == OK && !all.end && all.n_server);
	grpc_server_destroy(marker);
	return r;
}

static int remember(struct channelz *z, int64_t number, struct err *err)
{
	if (z->n == z->cap) {
		size_t cap = z->cap ? 2 * z->cap : 64;
		int64_t *bigger = reallocarray(z->sockets, cap, sizeof *bigger);

		if (!bigger)
			return fail_nomem(err);
		z->sockets = bigger;
		z->cap = cap;
	}
	z->sockets[z->n++] = number;
	return OK;
}

/* Each number is asked for once; those that are gone by then never come back. */
static int look_for_new(struct channelz *z, struct arena *arena, struct err *err)
{
	int64_t newest = z->newest;
	int r = newest_number(arena, &newest, err);

	for (; r == OK && z->newest < newest; z->newest++) {
		char *json = grpc_channelz_get_socket(z->newest + 1);

		if (json)
			r = remember(z, z->newest + 1, err);
		gpr_free(json);
		if (r < 0)
			return r;
	}
	return r;
}

/* NULL for one that is closed, and for what is listened on. */
static int read_connection(int64_t number, struct arena *arena, M(SocketRef) * *ret_ref, struct err *err)
{
	M(GetSocketResponse) response = GRPC__CHANNELZ__V1__GET_SOCKET_RESPONSE__INIT;
	int r = take_answer(grpc_channelz_get_socket(number), "socket", number, &response.base, arena, err);

	*ret_ref = r == OK && response.socket && response.socket->data ? response.socket->ref : NULL;
	return r == E_NOT_FOUND ? OK : r;
}

/* Forgets those that are closed on the way. */
static int list_connections(struct channelz *z, int64_t start, size_t most, M(GetServerSocketsResponse) * response,
			    struct arena *arena, struct err *err)
{
	size_t kept = 0, n = 0;
	int r = OK;

	response->end = true;
	response->socket_ref = arena_array(arena, most, sizeof *response->socket_ref);
	if (!response->socket_ref)
		return fail_nomem(err);
	for (size_t i = 0; i < z->n; i++) {
		M(SocketRef) *ref = NULL;

		if (r == OK)
			r = read_connection(z->sockets[i], arena, &ref, err);
		if (r < 0 || ref)
			z->sockets[kept++] = z->sockets[i];
		if (!ref || ref->socket_id < start)
			continue;
		response->end = n < most;
		if (n < most)
			response->socket_ref[n++] = ref;
	}
	z->n = kept;
	response->n_socket_ref = n;
	return r;
}

static int get_server_sockets(void *self, struct rpc_call *call, const M(GetServerSocketsRequest) * request,
			      M(GetServerSocketsResponse) * response, struct err *err)
{
	struct channelz *z = self;
	struct arena *arena = rpc_call_arena(call);
	M(GetServerResponse) server = GRPC__CHANNELZ__V1__GET_SERVER_RESPONSE__INIT;
	int64_t id = request->server_id, most = request->max_results;
	int r;

	if (check_number("start_socket_id", request->start_socket_id, err) < 0 ||
	    check_number("max_results", most, err) < 0)
		return E_INVALID;
	r = take_answer(grpc_channelz_get_server(id), "server", id, &server.base, arena, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&z->mu);
	r = look_for_new(z, arena, err);
	if (r == OK)
		r = list_connections(z, request->start_socket_id, most && most < PAGE_MAX ? (size_t)most : PAGE_MAX,
				     response, arena, err);
	pthread_mutex_unlock(&z->mu);
	return r;
}

/* ---- what gRPC answers as it is ---- */

static int get_servers(void *self, struct rpc_call *call, const M(GetServersRequest) * request,
		       M(GetServersResponse) * response, struct err *err)
{
	struct channelz *z = self;
	int64_t start = request->start_server_id;
	char *json;

	if (check_number("start_server_id", start, err) < 0 ||
	    check_number("max_results", request->max_results, err) < 0)
		return E_INVALID;
	pthread_mutex_lock(&z->mu);
	json = grpc_channelz_get_servers(start);
	pthread_mutex_unlock(&z->mu);
	return take_answer(json, "servers from", start, &response->base, rpc_call_arena(call), err);
}

static int get_server(UNUSED void *self, struct rpc_call *call, const M(GetServerRequest) * request,
		      M(GetServerResponse) * response, struct err *err)
{
	int64_t id = request->server_id;

	return take_answer(grpc_channelz_get_server(id), "server", id, &response->base, rpc_call_arena(call), err);
}

static int get_top_channels(UNUSED void *self, struct rpc_call *call, const M(GetTopChannelsRequest) * request,
			    M(GetTopChannelsResponse) * response, struct err *err)
{
	int64_t start = request->start_channel_id;

	if (check_number("start_channel_id", start, err) < 0 ||
	    check_number("max_results", request->max_results, err) < 0)
		return E_INVALID;
	return take_answer(grpc_channelz_get_top_channels(start), "channels from", start, &response->base,
			   rpc_call_arena(call), err);
}

static int get_channel(UNUSED void *self, struct rpc_call *call, const M(GetChannelRequest) * request,
		       M(GetChannelResponse) * response, struct err *err)
{
	int64_t id = request->channel_id;

	return take_answer(grpc_channelz_get_channel(id), "channel", id, &response->base, rpc_call_arena(call), err);
}

static int get_subchannel(UNUSED void *self, struct rpc_call *call, const M(GetSubchannelRequest) * request,
			  M(GetSubchannelResponse) * response, struct err *err)
{
	int64_t id = request->subchannel_id;

	return take_answer(grpc_channelz_get_subchannel(id), "subchannel", id, &response->base, rpc_call_arena(call),
			   err);
}

static int get_socket(UNUSED void *self, struct rpc_call *call, const M(GetSocketRequest) * request,
		      M(GetSocketResponse) * response, struct err *err)
{
	int64_t id = request->socket_id;

	return take_answer(grpc_channelz_get_socket(id), "socket", id, &response->base, rpc_call_arena(call), err);
}

struct rpc_binding channelz_binding(struct channelz *z)
{
	static const struct grpc__channelz__v1__channelz__impl impl = {
		.get_top_channels = get_top_channels,
		.get_servers = get_servers,
		.get_server = get_server,
		.get_server_sockets = get_server_sockets,
		.get_channel = get_channel,
		.get_subchannel = get_subchannel,
		.get_socket = get_socket,
	};

	return grpc__channelz__v1__channelz__bind(&impl, z);
}

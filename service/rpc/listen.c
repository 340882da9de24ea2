#include <grpc/grpc_posix.h>
#include <stdio.h>

#include "service/rpc/address.h"
#include "service/rpc/credentials.h"
#include "service/rpc/internal.h"

static int remember(struct rpc_server *s, char *address, struct err *err)
{
	char **bigger;

	if (!address)
		return fail_nomem(err);
	bigger = reallocarray(s->addresses, s->n_addresses + 1, sizeof *bigger);
	if (!bigger) {
		free(address);
		return fail_nomem(err);
	}
	s->addresses = bigger;
	s->addresses[s->n_addresses++] = address;
	return OK;
}

/* ---- unix sockets ---- */

static void accepted(void *arg, int fd)
{
	struct rpc_server *s = arg;
	grpc_server_credentials *plain = grpc_insecure_server_credentials_create();

	grpc_server_add_channel_from_fd(s->grpc, fd, plain);
	grpc_server_credentials_release(plain);
}

static void refused(void *arg, const struct err *err)
{
	struct rpc_server *s = arg;

	if (s->log)
		s->log(s->log_arg, &(struct rpc_event){ .method = "connection", .err = err });
}

static int need_unix_listener(struct rpc_server *s, struct err *err)
{
	struct unix_listener_options options = {
		.connections = s->options.unix_connections,
		.grants = s->options.grants,
		.accept = accepted,
		.refuse = refused,
		.arg = s,
	};

	return s->unix_listener ? OK : unix_listener_new(&options, &s->unix_listener, err);
}

static int listen_unix(struct rpc_server *s, const char *path, struct err *err)
{
	int r = need_unix_listener(s, err);

	if (r == OK)
		r = unix_listener_bind(s->unix_listener, path, err);
	return r < 0 ? r : remember(s, format("unix://%s", path), err);
}

static int listen_fd(struct rpc_server *s, int fd, struct err *err)
{
	char path[PEER_MAX] = "";
	int r = need_unix_listener(s, err);

	if (r == OK)
		r = unix_listener_adopt(s->unix_listener, fd, path, sizeof path, err);
	if (r < 0)
		return r;
	return remember(s, path[0] ? format("unix://%s", path) : format("fd://%d", fd), err);
}

/* ---- TCP ---- */

/* Without tls: plain. */
static int port_credentials(struct rpc_server *s, const struct rpc_tls *tls, grpc_server_credentials **ret_credentials,
			    struct err *err)
{
	if (tls)
		return credentials_new(tls, s->log, s->log_arg, &s->credentials, ret_credentials, err);
	*ret_credentials = grpc_insecure_server_credentials_create();
	return OK;
}

static int bind_one(struct rpc_server *s, const char *host, int port, const struct rpc_tls *tls, int *ret_port,
		    struct err *err)
{
	char target[ADDRESS_TARGET_MAX + 8];
	grpc_server_credentials *credentials;
	const char *problem;
	int bound, r = port_credentials(s, tls, &credentials, err);

	if (r < 0)
		return r;
	snprintf(target, sizeof target, "%s:%d", host, port);
	bound = grpc_server_add_http2_port(s->grpc, target, credentials);
	grpc_server_credentials_release(credentials);
	if (bound > 0) {
		*ret_port = bound;
		return OK;
	}
	problem = address_bind_problem(host, port);
	return fail(err, E_CONFLICT, "listen on tcp://%s: %s", target,
		    problem ? problem : "gRPC refuses it; the certificate may not fit");
}

/* All addresses of the host, on one port: the first choice when it is 0. */
static int bind_all(struct rpc_server *s, const struct address *a, const struct address_results *results,
		    const struct rpc_tls *tls, struct err *err)
{
	int port = a->port, r;

	for (size_t i = 0; i < results->n; i++) {
		r = bind_one(s, results->host[i], port, tls, &port, err);
		if (r < 0)
			return r;
	}
	return remember(s, format(strchr(a->host, ':') ? "tcp://[%s]:%d" : "tcp://%s:%d", a->host, port), err);
}

static int listen_tcp(struct rpc_server *s, const struct address *a, const struct rpc_tls *tls, struct err *err)
{
	bool secure = tls && (tls->cert_file || tls->key_file || tls->client_ca_file);
	struct address_results results;
	int r = address_resolve(a, &results, err);

	if (r < 0)
		return r;
	if (!secure && !results.all_loopback)
		return fail(err, E_INVALID,
			    "cannot listen on tcp://%s:%d without TLS: only loopback addresses may; "
			    "give a certificate and a key",
			    a->host, a->port);
	return bind_all(s, a, &results, secure ? tls : NULL, err);
}

int rpc_server_listen(struct rpc_server *s, const char *address, const struct rpc_tls *tls, struct err *err)
{
	struct address a;
	int r = address_parse(address, &a, err);

	if (r < 0)
		return r;
	if (s->started)
		return fail(err, E_INTERNAL, "the server listens on '%s' after its start", address);
	switch (a.kind) {
	case ADDRESS_UNIX:
		return listen_unix(s, a.path, err);
	case ADDRESS_FD:
		return listen_fd(s, a.fd, err);
	case ADDRESS_TCP:
		return listen_tcp(s, &a, tls, err);
	}
	return fail(err, E_INTERNAL, "an address of no kind");
}

size_t rpc_server_addresses(const struct rpc_server *s, const char *const **ret_addresses)
{
	*ret_addresses = (const char *const *)s->addresses;
	return s->n_addresses;
}

/*
 * The gRPC server: listeners, polling threads, handler pools, drain.
 *
 * Order: rpc_server_new(), rpc_server_add() for each service, rpc_server_listen()
 * for each address, rpc_server_start(), then rpc_server_drain() and
 * rpc_server_free(). Health, reflection (v1, v1alpha) and channelz are added by
 * rpc_server_start(). Signals must be blocked before rpc_server_new(), since
 * gRPC's threads inherit the mask.
 *
 * Bounds: every limit is a field of rpc_server_options with a default; nothing queues
 * without one. What is more than handlers and queue take, and what is too long, ends
 * with RESOURCE_EXHAUSTED; a peer that is too slow, with DEADLINE_EXCEEDED. A
 * connection too many is closed, and a stream too many waits in its client.
 */
#ifndef SERVICE_RPC_SERVER_H
#define SERVICE_RPC_SERVER_H

#include "service/pool.h"
#include "service/rpc/call.h"
#include "service/rpc/clients.h"

struct rpc_server;
struct grants;

struct rpc_server_options {
	/* 0: 1. A second one contends with the first for every connection: on 2 cores, with
	 * two, small calls were 40 % fewer and uploads 15 % slower, also from four clients. One more
	 * thread steps in for one that does not come back. */
	unsigned pollers;
	unsigned handlers;		 /* blocking unary calls at once, and half the streams; 0: 64 */
	unsigned queued;		 /* calls that wait for a handler; 0: 64 */
	unsigned streams_per_connection; /* 0: 128 */
	unsigned unix_connections;	 /* 0: 4096, fewer with few open files */
	size_t message_bytes;		 /* received; 0: 4 MiB */
	size_t metadata_bytes;		 /* 0: 16 KiB */
	int64_t send_timeout_ms;	 /* a reader that takes nothing; 0: 60 s */
	int64_t recv_timeout_ms;	 /* a writer that sends nothing; 0: 60 s */
	int64_t grace_ms;		 /* drain; 0: 10 s */
	struct client_limits client;	 /* of one client; 0: no limit */
	bool channelz;			 /* gRPC counts for, and serves, grpc.channelz.v1 */
	const struct grants *grants;	 /* outlives the server; NULL: everybody is admin */
};

/* The files are read again at each handshake: one that was replaced counts for connections
 * that come from then on, and one that cannot be used leaves the one before in use. */
struct rpc_tls {
	const char *cert_file, *key_file; /* PEM; NULL: no TLS */
	const char *client_ca_file;	  /* PEM; a client certificate is demanded */
	bool allow_anonymous;		  /* without client_ca_file: nobody shows a certificate */
};

/* For the log. */
struct rpc_event {
	const char *method, *peer;
	enum rpc_role role;    /* that the method needs */
	const char *target;    /* what the call is about, for roles from write on; else NULL */
	int64_t ns;	       /* from its arrival to its end */
	const struct err *err; /* NULL: it ended well */
	bool unheard;	       /* its client took it back before the request was read */
};

/* One call that is over. Runs on any of the server's threads, also at once.
 * Connections that could not be taken and certificates that cannot be used any more come here
 * too, with the method "connection", and
 * what gRPC itself complains of, such as failed TLS handshakes, with the method "gRPC";
 * both without a peer. */
typedef void rpc_log_fn(void *arg, const struct rpc_event *event);

/* Optional, before the process has a second thread: what would otherwise make the
 * first client wait. */
int rpc_server_prepare(struct err *err);

int rpc_server_new(const struct rpc_server_options *options, rpc_log_fn *log, void *log_arg,
		   struct rpc_server **ret_server, struct err *err);
void rpc_server_free(struct rpc_server *s);
void rpc_server_freep(struct rpc_server **s);

int rpc_server_add(struct rpc_server *s, const struct rpc_binding *binding, struct err *err);

/* "unix:///PATH" (mode 0660, a stale socket is replaced, a live one is an error),
 * "tcp://HOST:PORT" (without TLS only on loopback, with TLS only with a client CA or
 * allow_anonymous: E_INVALID otherwise), or "fd://N" for a listening unix socket handed over by systemd. */
int rpc_server_listen(struct rpc_server *s, const char *address, const struct rpc_tls *tls, struct err *err);

/* The addresses in the form that clients use, ports filled in. */
size_t rpc_server_addresses(const struct rpc_server *s, const char *const **ret_addresses);

int rpc_server_start(struct rpc_server *s, struct err *err);

/* Goes up with each turn of a polling thread, which all calls come through: at least every second. */
uint64_t rpc_server_polls(const struct rpc_server *s);

/* Health, which said SERVING since the start, says NOT_SERVING; new calls are refused with
 * UNAVAILABLE, watches end; clients of unix sockets that have no call are sent to who listens next; waits for the calls
 * that run, and after the grace time cancels them; waits for their clients to read how they ended, for a second at
 * most. */
void rpc_server_drain(struct rpc_server *s);

/* How busy the threads of its handlers are. */
void rpc_server_load(const struct rpc_server *s, struct pool_load *ret_unary, struct pool_load *ret_streams);

/* Of the gRPC library: "1.51.1". */
const char *rpc_library_version(void);

/* Calls that run or wait now: for tests, which wait until there are none. */
unsigned rpc_server_active(const struct rpc_server *s);

#endif

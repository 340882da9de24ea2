/*
 * The inside of the server: calls, operations on the completion queue, and who
 * owns what. Only service/rpc includes this.
 *
 * One completion queue, one polling thread, or a few. Each operation that is started on
 * the queue carries a `struct op` of its call as tag; the poller that takes the
 * event runs op->done(), which never blocks. Blocking handlers run on the pool.
 *
 * References of a call: one for whoever must finish it (dropped when the final
 * batch is done), one for RECV_CLOSE, one for each read or write in flight.
 * Locks: server.mu before call.mu, a call's token, and the table of connections; none is
 * held around a call of gRPC.
 */
#ifndef SERVICE_RPC_INTERNAL_H
#define SERVICE_RPC_INTERNAL_H

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <pthread.h>
#include <stdatomic.h>

#include "proto/runtime/sanitize.h"
#include "service/log.h"
#include "service/pool.h"
#include "service/rpc/call_watch.h"
#include "service/rpc/health.h"
#include "service/rpc/methods.h"
#include "service/rpc/server.h"
#include "service/rpc/stats.h"
#include "service/rpc/status.h"
#include "service/rpc/unix_listener.h"

/* What one call may allocate in its arena beside its request. */
enum { HANDLER_ARENA_BYTES = 64 * 1024 * 1024, ACCEPT_ARENA_BYTES = 64 * 1024 };
enum { PEER_MAX = 160 };

struct op {
	void (*done)(struct op *op, bool ok);
	void *owner;
};

struct deferred {
	void (*fn)(void *);
	void *p;
	struct deferred *next;
};

struct rpc_call {
	struct rpc_server *server;
	struct rpc_call *next, **link; /* server.calls, guarded by server.mu */
	atomic_uint refs;
	grpc_call *grpc;
	grpc_call_details details;
	grpc_metadata_array metadata;
	const struct method_entry *entry;
	struct identity identity;
	enum rpc_role role;
	const char *target; /* of the first message, for the audit; NULL before it came */
	char peer[PEER_MAX];
	char client_key[PEER_MAX];  /* what the limits of a client count by */
	struct client *client;	    /* while the call counts in them */
	atomic_int connection;	    /* its number, of a unix socket; 0 until that is known, and else */
	struct log_context context; /* for the log: lines that are made within the call carry it */
	int64_t began_ns;	    /* monotonic */
	struct cancel *cancel;
	struct arena arena;	    /* request, response, identity */
	struct arena message_arena; /* the last received message of a stream */
	struct deferred *deferred;

	struct op accept, close, read, write, finish;
	int cancelled; /* written by gRPC before `close` is done */

	/* Reading: gRPC writes read_buffer before `read` is done. */
	grpc_byte_buffer *read_buffer;
	enum { READ_GOOD, READ_BROKEN, READ_REFUSED, READ_TOO_MANY } read_problem;
	bool read_over; /* the handler has seen the end */
	bool heard;	/* its request was read, or is for the handler to read */
	bool empty;	/* no request came: whether that is a mistake or a reset shows at the very end */
	/* What counts as held: the message that was read ahead, the one that the handler has, the
	 * one that is on its way out. */
	size_t ahead_bytes, taken_bytes, write_bytes;
	bool late; /* it came after the drain had begun: refused, and nobody waits for it */
	/* Writing. */
	grpc_byte_buffer *write_buffer;
	bool headers_sent;
	/* Finishing. */
	struct wire_status status;
	struct call_watch watch;

	/* Calls without a thread (health watches) learn of events here, on pollers. */
	void (*on_sent)(struct rpc_call *call, bool ok);
	void (*on_closed)(struct rpc_call *call); /* guarded by mu: the close may come first */
	void *watcher;

	pthread_mutex_t mu;
	pthread_cond_t changed; /* reading, writing or the token changed */
	bool reading, writing;	/* guarded by mu: an operation is in flight */
	bool recv_stopped;	/* guarded by mu */
	bool closed;		/* guarded by mu: gRPC has ended the call, operations end soon */
	bool write_failed;	/* guarded by mu: the last one */
};

struct rpc_server {
	struct rpc_server_options options; /* defaults filled in */
	rpc_log_fn *log;
	void *log_arg;
	grpc_resource_quota *quota;
	grpc_server *grpc;
	grpc_completion_queue *cq;
	struct methods methods;
	struct rpc_stats *stats; /* of each method by its number, and of all others */
	struct clients *clients;
	const struct rpc_service **services;
	size_t n_services;
	char **addresses;
	size_t n_addresses;
	struct pool *pool;    /* of unary calls */
	struct pool *streams; /* of streams, which may take hours: a list never waits for a pull */
	struct unix_listener *unix_listener;
	struct credentials *credentials; /* of the TCP ports with TLS */
	struct health *health;
	struct reflection *reflection;
	struct channelz *channelz; /* NULL: not asked for */
	struct call_watches watches;
	struct cancel *drain;
	pthread_t *pollers;
	unsigned n_pollers;	    /* started */
	atomic_uint_fast64_t polls; /* finished, by all of them; the relief's only when there was an event */
	pthread_t relief;
	pthread_cond_t relief_wake;
	bool relief_started, relief_stop; /* relief_stop: guarded by mu */
	bool started, drained;
	atomic_uint missing_slots; /* requests that could not be armed */

	struct op shutdown;
	pthread_mutex_t mu;
	pthread_cond_t quiet; /* no call is active or all are late, or the shutdown is done */
	struct rpc_call *calls;
	unsigned active; /* calls in the list */
	unsigned late;	 /* those of them that came after the drain had begun */
	bool draining, shutdown_done;
};

/* Starts a batch whose event runs op->done. Negative: no event will come. */
int call_batch(struct rpc_call *c, struct op *op, const grpc_op *ops, size_t n);

/* Arms one more request on the queue. */
void call_request(struct rpc_server *s);
void call_ref(struct rpc_call *c);
void call_unref(struct rpc_call *c);

/* Ends the call with a status, and with the response when err is NULL; the
 * caller's right to finish is used up. */
void call_finish(struct rpc_call *c, struct err *err, const ProtobufCMessage *response);

/* Of the first message that the handler is given. */
void call_note_target(struct rpc_call *c, const ProtobufCMessage *request);

/* Bytes of a message that the client's limit counts, in *held; E_CLIENT_LIMIT: none are. */
int call_hold(struct rpc_call *c, const grpc_byte_buffer *buffer, size_t *held, struct err *err);
void call_release(struct rpc_call *c, size_t *held);

/* Fires the token and wakes the handler. */
void call_fire(struct rpc_call *c, int code);

/* Why an operation of this call failed: as the token says, else by the clock. */
int call_over(struct rpc_call *c, struct err *err);

/* Where the call is counted. */
struct rpc_stats *call_stats(const struct rpc_call *c);

/* Streams (stream.c). */
int call_start_read(struct rpc_call *c, void (*done)(struct op *, bool));
void call_stream_read(struct rpc_call *c);
void call_note_read(struct rpc_call *c, bool ok);	  /* on the poller, when it is done */
int call_read_error(struct rpc_call *c, struct err *err); /* what read_problem says */
int call_start_write(struct rpc_call *c, const ProtobufCMessage *message, struct err *err);
/* Waits for the last message; what became of it. */
int call_settle(struct rpc_call *c, struct err *err);

/* ThreadSanitizer cannot see inside the gRPC library: the completion queue is a
 * happens-before edge from start_batch to the event. */
#if SANITIZED_THREAD
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
#define HANDOVER(tag) __tsan_release(tag)
#define TAKEOVER(tag) __tsan_acquire(tag)
#else
#define HANDOVER(tag) ((void)(tag))
#define TAKEOVER(tag) ((void)(tag))
#endif

#endif

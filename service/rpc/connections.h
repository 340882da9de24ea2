/*
 * Which user is behind which accepted connection.
 *
 * gRPC knows a connection that we accepted only by the number of its descriptor
 * ("fd:100"). So each gets a number of its own from a high range, handed out in a
 * cycle, and the credentials are noted under the number. A number that was given
 * up rests for REST_MS before it comes again, so that a call of the old connection
 * that is still on its way is never taken for one of the new.
 *
 * gRPC owns the numbered descriptor. A duplicate in an epoll set tells when the
 * connection is gone (gRPC shuts a socket down before it closes it).
 */
#ifndef SERVICE_RPC_CONNECTIONS_H
#define SERVICE_RPC_CONNECTIONS_H

#include <sys/socket.h>

#include "proto/runtime/rpc.h"

struct connections;

struct connection_peer {
	struct ucred cred;
	enum rpc_role role; /* as given to connections_add() */
};

/* Before the process has a second thread: makes the kernel's table of descriptors as
 * large as the numbers need. With threads its growth waits for an RCU grace period,
 * 10 ms and more, in the middle of a client's first call. */
int connections_prepare(struct err *err);

/* At most `max` at once; 0: 4096, or as many as the limit of open files allows. Raises the
 * process's soft limit of them and uses the upper half of the numbers; E_LIMIT when they are
 * too few for `max`. */
int connections_new(unsigned max, int epoll_fd, struct connections **ret_connections, struct err *err);
void connections_free(struct connections *c);

/* Takes over the accepted socket, of a peer with that role. Its number, which gRPC is to own, goes to
 * ret_number; the epoll set reports `tag_base` + number when it ends. E_BUSY when
 * there are too many. */
int connections_add(struct connections *c, int fd, enum rpc_role role, uint64_t tag_base, int *ret_number,
		    struct err *err);

/* The connection has ended. */
void connections_remove(struct connections *c, int number);

/* From any thread, for a call of this connection. */
bool connections_find(struct connections *c, int number, struct connection_peer *ret_peer);

/* HTTP/2's GOAWAY to every client that has had a call and is not busy now: it opens another
 * connection for its next call, and closes this one when its calls are over. gRPC can only say
 * it to all at once. The frame goes behind gRPC's back, which is right only where gRPC writes
 * nothing meanwhile: so each connection that carries a call is marked as busy first, which
 * holds for one time, and only small answers may come on the others. How many of those that
 * were told have not gone yet. */
void connections_mark_busy(struct connections *c, int number);
unsigned connections_send_goaway(struct connections *c);

#endif

/*
 * Our own listener for unix sockets: gRPC's would steal the path of a live
 * server, take its mode from the umask, know nobody's credentials, count nothing,
 * and cannot adopt a socket of systemd.
 *
 * One thread accepts on all sockets, notes the peer's credentials, and hands the
 * connection to gRPC. It counts open connections; what comes beyond the limit is
 * closed at once. Paths are bound under a lock on their directory, so that of two
 * servers that start at once one is told of the other.
 */
#ifndef SERVICE_RPC_UNIX_LISTENER_H
#define SERVICE_RPC_UNIX_LISTENER_H

#include "service/rpc/connections.h"
#include "service/rpc/grants.h"

struct unix_listener;

/* Called on the accepting thread; takes the descriptor over. */
typedef void unix_accept_fn(void *arg, int fd);
/* A connection that could not be taken; at most one each few seconds. */
typedef void unix_refuse_fn(void *arg, const struct err *err);

struct unix_listener_options {
	unsigned connections;	     /* open at once */
	const struct grants *grants; /* NULL: everybody is admin */
	unix_accept_fn *accept;
	unix_refuse_fn *refuse;
	void *arg;
};

int unix_listener_new(const struct unix_listener_options *options, struct unix_listener **ret_listener,
		      struct err *err);
/* Stops, and removes the sockets' files where they are still ours. */
void unix_listener_free(struct unix_listener *l);

/* Binds an absolute path with mode 0660. A stale socket is replaced; a live one
 * is E_CONFLICT, another kind of file is left alone. */
int unix_listener_bind(struct unix_listener *l, const char *path, struct err *err);

/* Adopts a listening unix socket; its path ("" when it has none that is a file)
 * goes to ret_path, which has room for `size` bytes. The file is not removed. */
int unix_listener_adopt(struct unix_listener *l, int fd, char *ret_path, size_t size, struct err *err);

int unix_listener_start(struct unix_listener *l, struct err *err);

/* No more connections; those that exist live on. Removes the files. */
void unix_listener_stop(struct unix_listener *l);

/* From any thread: who is behind a descriptor that was given to accept(). */
bool unix_listener_peer(struct unix_listener *l, int fd, struct connection_peer *ret_peer);

/* For a drain, see connections.h. */
struct connections *unix_listener_connections(struct unix_listener *l);

#endif

/*
 * SSH agents of a build's client, for RUN --mount=type=ssh: a socket for a step, whose connections
 * travel as AgentData messages (build.proto) over the call of the build.
 *
 * The session makes one build_agents for its call, gives it what comes from the client, and
 * frees it when its steps have ended. A step opens a socket for each of its mounts, and closes it
 * when it is over; with it go its connections.
 *
 * Bounded: AGENTS_CONNECTIONS_MAX at a time, where others wait; AGENTS_BUFFER_MAX bytes that a step has not read
 * yet, where the connection is ended. Nothing of it is kept or logged.
 *
 * Threads: any. One of its own waits on the sockets, and is the only one to call `send`.
 */
#ifndef SERVICE_BUILD_AGENTS_AGENTS_H
#define SERVICE_BUILD_AGENTS_AGENTS_H

#include <stdbool.h>

#include "imaged/v1/build.pb-c.h"
#include "proto/runtime/err.h"

enum {
	AGENTS_CONNECTIONS_MAX = 64,
	AGENTS_SOCKETS_MAX = 1024,
	AGENTS_BUFFER_MAX = 1 << 20,
	AGENTS_PIECE_MAX = 64 << 10, /* of one message */
};

struct build_agents;
struct agent_socket;

/* To the client. May wait for it, but must fail once the call is over: the agents end then. The message is
 * borrowed for the call. */
struct agents_sink {
	int (*send)(void *arg, const Imaged__V1__AgentData *message, struct err *err);
	void *arg;
};

/* `ids`: of the agents that the client forwards (BuildStart.ssh_ids), copied. */
int build_agents_new(char *const *ids, size_t n_ids, const struct agents_sink *sink, struct build_agents **ret_agents,
		     struct err *err);
/* Ends all connections; waits for a `send` that goes on. NULL is fine. Each socket has been closed. */
void build_agents_free(struct build_agents *a);
void build_agents_freep(struct build_agents **a);

/* Whether the client forwards this one; NULL agents: none. */
bool build_agents_has(const struct build_agents *a, const char *id);

/* A message of the client. Of a connection that is over it says nothing any more. */
void build_agents_take(struct build_agents *a, const Imaged__V1__AgentData *message);

/* ---- of a step ----------------------------------------------------------------------- */

struct agent_socket_options {
	const char *id; /* of the agent */
	int directory;	/* of the step, where the socket gets a name that goes with it */
	uint32_t mode, uid, gid;
};

/* E_NOT_FOUND in BuildKit's words: no such agent; E_UNSUPPORTED: an owner that needs root. */
int agent_socket_open(struct build_agents *a, const struct agent_socket_options *options,
		      struct agent_socket **ret_socket, struct err *err);
/* O_PATH, for RUN_SOCKET; the socket's. */
int agent_socket_fd(const struct agent_socket *s);
void agent_socket_close(struct agent_socket *s); /* NULL is fine */

#endif

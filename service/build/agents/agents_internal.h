/*
 * What agents.c and the relay's thread share.
 *
 * Slots of connections and sockets are filled and emptied by the thread alone (but for new sockets), so that it
 * needs no lock to use their descriptors; what others say to them is under `lock`.
 */
#ifndef SERVICE_BUILD_AGENTS_AGENTS_INTERNAL_H
#define SERVICE_BUILD_AGENTS_AGENTS_INTERNAL_H

#include <poll.h>
#include <pthread.h>

#include "proto/runtime/buf.h"
#include "service/build/agents/agents.h"

struct agent_socket {
	struct build_agents *agents;
	const char *id; /* of the agent, one of agents->ids */
	int listener;
	int path; /* O_PATH */
	bool is_closed;
};

struct connection {
	uint32_t number; /* 0: the slot is free */
	int fd;
	const struct agent_socket *socket;
	bool is_over; /* the client says so, or it does not read */
	struct buf out;
	size_t written; /* of `out` */
};

struct build_agents {
	struct agents_sink sink;
	char **ids;
	size_t n_ids;
	pthread_t thread;
	int wake; /* eventfd */
	pthread_mutex_t lock;
	bool is_stopping;
	bool is_broken; /* the call is over */
	unsigned n_names;
	uint32_t last_number;
	struct agent_socket *sockets[AGENTS_SOCKETS_MAX];
	size_t n_sockets;
	struct connection connections[AGENTS_CONNECTIONS_MAX];
	/* The thread's. */
	bool is_short; /* of descriptors or memory: nobody is let in for a moment */
	struct pollfd wait[1 + AGENTS_SOCKETS_MAX + AGENTS_CONNECTIONS_MAX];
	uint8_t piece[AGENTS_PIECE_MAX];
};

void *relay_run(void *agents);
void agents_wake(struct build_agents *a);

#endif

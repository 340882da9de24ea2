/*
 * SSH agents that a build's steps may use (--ssh): bytes between the service and the agents'
 * sockets on this machine.
 *
 * The service opens a connection by its first message. A thread of its own waits for the agents'
 * answers; take() is for the thread that receives. A connection that fails ends; the build goes
 * on, and the step is told.
 */
#ifndef CLIENT_CLI_BUILD_AGENTS_H
#define CLIENT_CLI_BUILD_AGENTS_H

#include <pthread.h>

#include "imaged/v1/build.pb-c.h"
#include "proto/runtime/buf.h"

enum { AGENTS_MAX = 32, AGENT_CONNECTIONS_MAX = 64, AGENT_UNSENT_MAX = 1024 * 1024 };

struct build_agent {
	const char *id, *socket; /* the caller's */
};

struct agent_connection {
	uint32_t number;
	int fd;		   /* -1: free */
	struct buf unsent; /* to the agent */
	bool ending;	   /* when all is sent */
};

struct build_agents {
	struct build_agent items[AGENTS_MAX];
	size_t n;
	void *stream; /* first argument of: */
	int (*send)(void *stream, const Imaged__V1__BuildRequest *request, struct err *err);

	pthread_t thread;
	bool running;
	int wake; /* eventfd */
	pthread_mutex_t mu;
	bool over; /* under mu, as the rest */
	struct agent_connection connections[AGENT_CONNECTIONS_MAX];
};

/* Starts nothing when there are no agents. */
int build_agents_start(struct build_agents *a, struct err *err);
/* True when it was theirs. E_INTERNAL: an agent that was not offered. */
int build_agents_take(struct build_agents *a, const Imaged__V1__BuildEvent *event, bool *ret_taken, struct err *err);
void build_agents_end(struct build_agents *a);

#endif

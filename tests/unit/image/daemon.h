/*
 * A daemon of one store in this process, and a client that asks it over a socket.
 */
#ifndef TESTS_UNIT_IMAGE_DAEMON_H
#define TESTS_UNIT_IMAGE_DAEMON_H

#include "client/lib/channel.h"
#include "service/api/binding.h"
#include "service/rpc/server.h"
#include "tests/unit/store/fixture.h"

struct daemon {
	struct fixture *fixture;
	struct store *store;
	struct image_service service;
	struct rpc_server *server;
	struct rpc_channel *channel; /* takes messages of 4 MiB, as most clients do */
	char address[ROOT_MAX + 32];
};

/* cmocka set-up and tear-down: *state is a struct daemon. */
int daemon_start(void **state);
int daemon_stop(void **state);

#endif

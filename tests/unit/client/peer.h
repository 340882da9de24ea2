/*
 * server.py as a child process of a test program, and channels to it.
 *
 * peer_start() is a cmocka group setup, peer_stop() its teardown. Without
 * python3-grpcio the program says so and ends with success (peer_available()).
 */
#ifndef TESTS_UNIT_CLIENT_PEER_H
#define TESTS_UNIT_CLIENT_PEER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#undef fail /* ours is another one */

#include "wiretest/wire.client.h"

/* protobuf-c's strings are not const, and what the tests send are literals. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wincompatible-pointer-types-discards-qualifiers"
#else
#pragma GCC diagnostic ignored "-Wdiscarded-qualifiers"
#endif

struct peer {
	pid_t pid;
	char directory[64];
	unsigned tls_port, mtls_port, elsewhere_port, garbage_port;
};

extern struct peer peer;

bool peer_available(void);
int peer_start(void **state);
int peer_stop(void **state);

/* A second server, for tests that kill it. Stop it with peer_end(). */
bool peer_begin(struct peer *p);
void peer_end(struct peer *p);

/* "DIRECTORY/name", in one of a few static buffers. */
const char *peer_path(const char *name);

/* A channel to the unix socket; fails the test when there is none. */
struct rpc_channel *peer_channel(void);

#define assert_ok(call, err)                                               \
	do {                                                               \
		int r_ = (call);                                           \
		if (r_ != OK) {                                            \
			print_error("%s: %d %s\n", #call, r_, (err).text); \
			_fail(__FILE__, __LINE__);                         \
		}                                                          \
	} while (0)

#endif

/*
 * What the tests of service/rpc share: a server with the echo service on a unix
 * socket in a directory of its own, a channel to it, and calls below the level of
 * generated stubs.
 */
#ifndef TESTS_UNIT_RPC_RIG_H
#define TESTS_UNIT_RPC_RIG_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "client/lib/channel.h"
#include "echo/v1/echo_service.client.h"
#include "service/rpc/server.h"
#include "tests/conformance/echo_service.h"

/* After our headers: it defines fail() as a macro, as which nobody needs it. */
#include <cmocka.h>
#undef fail

enum { RIG_TEXT = ERR_TEXT_MAX };

struct rig {
	char dir[64];
	char address[96]; /* unix:// in dir */
	struct echo_service service;
	struct rpc_server *server;
	struct rpc_channel *channel;
	pthread_mutex_t mu;
	unsigned logged; /* failed calls */
	int last_code;
	char last_text[RIG_TEXT];
	char last_peer[RIG_TEXT];
};

/* A server with these options, started, and a channel. Fails the test otherwise. */
struct rig *rig_new(const struct rpc_server_options *options);
void rig_free(struct rig *r);
void rig_freep(struct rig **r);

/* Without rig_start(): to listen elsewhere first. */
struct rig *rig_prepare(const struct rpc_server_options *options);
void rig_start(struct rig *r);
struct rpc_channel *rig_connect(const char *address);

unsigned rig_logged(struct rig *r);
void rig_forget_log(struct rig *r);
int rig_last_code(struct rig *r);

/* Waits until the condition holds, and fails the test when it does not within
 * some seconds: for effects on other threads that nothing announces. */
#define EVENTUALLY(condition)                                         \
	do {                                                          \
		int64_t until_ = clock_monotonic_ms() + RIG_PATIENCE; \
		while (!(condition)) {                                \
			assert_true(clock_monotonic_ms() < until_);   \
			rig_pause();                                  \
		}                                                     \
	} while (0)
enum { RIG_PATIENCE = 20000 };
void rig_pause(void);

/* Resident anonymous memory of this process, in bytes; 0 under the thread
 * sanitizer, whose own would be counted. */
size_t rig_rss_anon(void);

/* A file of the rig's directory. */
char *rig_path(const struct rig *r, const char *name);

/* ---- one call, byte by byte ---- */

struct raw_result {
	int status; /* a gRPC code */
	char text[RIG_TEXT];
	uint8_t details[4096]; /* grpc-status-details-bin */
	size_t n_details;
	uint8_t response[4096];
	size_t n_response;
};

struct raw_call {
	const char *path;
	struct bytes request;	 /* data NULL: half-close without a message */
	const char *key, *value; /* metadata, may be NULL */
	int64_t timeout_ms;
	bool no_half_close;
};

void raw_unary(const char *address, const struct raw_call *call, struct raw_result *ret_result);

/* A server stream that is opened and never read; the connection's windows are small. */
struct raw_stalled;
struct raw_stalled *raw_stall(const char *address, const char *path, struct bytes request);
/* Reads on: the status that the call ended with. */
int raw_stalled_finish(struct raw_stalled *s);

/* ---- one connection, frame by frame (frames.c) ---- */

struct frames;
enum frames_event { FRAMES_CLOSED, FRAMES_REPLIED, FRAMES_GOAWAY, FRAMES_PING };

struct frames *frames_open(const char *address);
void frames_freep(struct frames **f);
/* Streams have odd numbers below 256, and each a higher one. Sends the headers only. */
void frames_call(struct frames *f, uint32_t stream, const char *path);
void frames_half_close(struct frames *f, uint32_t stream);
/* What matters of what the server sends; REPLIED is the end of *ret_stream. */
enum frames_event frames_next(struct frames *f, uint32_t *ret_stream);
/* The last PING that came; the server's are answered by nobody else. */
void frames_answer_ping(struct frames *f);

#endif

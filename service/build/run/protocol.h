/*
 * What imaged and imaged-run say to each other, on a SOCK_SEQPACKET socket.
 *
 *   imaged  → descriptors, in frames of at most RUN_FRAME_FDS. The first is a memfd
 *             with the plan (plan.proto); then those of enum run_fd and, behind them,
 *             the layers' and the mounts'
 *   imaged  → end of stream (shutdown, or death): stop now
 *   worker  → once: a frame with a pidfd of the step's first process, so that its end can
 *             be awaited when the supervisor itself was killed
 *   step    → on a socket of its own in the place of RUN_FD_OUT, when it has a terminal: once a frame with
 *             the side of the terminal that the caller serves
 *   worker  → once: struct run_report; no process of the step is alive any more, and
 *             none of its mounts and cgroups is left
 *
 * Pure messages; threads as the sockets'.
 */
#ifndef SERVICE_BUILD_RUN_PROTOCOL_H
#define SERVICE_BUILD_RUN_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/runtime/err.h"

enum {
	RUN_PROTOCOL_VERSION = 3,
	RUN_SOCKET_FD = 3,
	RUN_FRAME_FDS = 64,
	RUN_FDS_MAX = 2048,
	RUN_PLAN_MAX = 64 << 20, /* bytes; secrets and scripts are in it */
	RUN_TEXT_MAX = 960,
};

enum run_fd {
	RUN_FD_PLAN,
	RUN_FD_OUT, /* standard output; with a terminal, the socket for it */
	RUN_FD_ERRORS,
	RUN_FD_LAYER,	  /* the tar of a layer */
	RUN_FD_DIRECTORY, /* of the step: upper, work (run.h) */
	RUN_FD_LOWERS,
};

/* How a step ended. A code other than OK: it did not run, or not to its end. */
struct run_report {
	uint32_t version;
	int32_t code; /* OK or an enum code */
	int32_t exit_code;
	int32_t oom_kills;
	int32_t single_id; /* it ran with the id 0 alone */
	int32_t unused;
	int64_t memory_peak; /* bytes; 0 when unknown */
	int64_t cpu_us;
	char text[RUN_TEXT_MAX];
};

/* E_WORKER when the other side is gone. The descriptors stay the caller's. */
int run_send_fds(int socket, const int *fds, size_t n, struct err *err);

/* All of them, each close-on-exec; free() the array, close them. */
int run_receive_fds(int socket, int **ret_fds, size_t *ret_n, struct err *err);

/* One frame of the worker's: a report, or a descriptor. */
struct run_word {
	struct run_report report;
	bool is_report;
	int fd; /* -1, or the caller's */
};

/* E_UNAVAILABLE at the end of the stream. */
int run_receive_word(int socket, struct run_word *ret_word, struct err *err);
int run_send_descriptor(int socket, int fd, struct err *err);
int run_send_report(int socket, const struct run_report *report, struct err *err);

void run_report_of_err(const struct err *err, struct run_report *ret_report);

#endif

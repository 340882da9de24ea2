/*
 * One imaged-layer process as the daemon holds it: started, spoken to, ended.
 *
 * The process gets its socket at LAYER_SOCKET_FD, /dev/null as input and output (or
 * the ends of two pipes, when it is a filter), a pipe as its standard error (for the
 * dynamic linker's words; read once, when it has died), and neither environment nor
 * any other descriptor.
 *
 * A struct process belongs to one thread at a time (workers.h). Nothing is left
 * behind: each end waits for the process by its id.
 */
#ifndef SERVICE_LAYER_PROCESS_H
#define SERVICE_LAYER_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "service/layer/protocol.h"

struct process {
	pid_t pid; /* 0: there is none */
	int socket, errors;
	bool ready;	 /* READY was received, and was good enough */
	uint32_t layers; /* BEGINs sent */
	uint32_t sandbox;
	char note[LAYER_TEXT_MAX];
};

#define PROCESS_INIT                       \
	{                                  \
		.socket = -1, .errors = -1 \
	}

/* What a process is for: its argv[1] (NULL: layers), and the descriptors that become its
 * input and output (both -1: /dev/null); they stay the caller's. */
struct process_role {
	const char *mode;
	int in, out;
};

/* E_WORKER with the path and the reason. */
int process_start_as(const char *program, const struct process_role *role, struct process *ret_process,
		     struct err *err);

static inline int process_start(const char *program, struct process *ret_process, struct err *err)
{
	static const struct process_role layers = { .in = -1, .out = -1 };

	return process_start_as(program, &layers, ret_process, err);
}

/* Kills and reaps it; nothing when there is none. */
void process_end(struct process *p); /* also the cleanup function */

/* Its socket has closed: reaps it and returns E_WORKER with how it ended, and what it
 * left on its standard error. */
int process_fail_died(struct process *p, struct err *err);

/* It has said what it must not: ends it. E_WORKER. */
int process_fail_nonsense(struct process *p, const char *what, struct err *err);

/* It has given up, in its words, of which those that cannot be shown are replaced: ends it. `code`. */
int process_fail_told(struct process *p, int code, const char text[LAYER_TEXT_MAX], struct err *err);

/* `rc` and `why` of a receive or send that failed: E_BUSY goes on as it is; else the
 * process is ended, and this is E_WORKER with how it died or what was wrong. */
int process_fail_transport(struct process *p, int rc, const struct err *why, struct err *err);

/* The next message but READY, which it takes note of and checks. E_BUSY: none there
 * (MSG_DONTWAIT). E_WORKER: the process has died, speaks nonsense or has no sandbox;
 * it has been ended then, and the text says which. */
int process_receive(struct process *p, int flags, struct layer_message *ret_message, struct err *err);

/* Sends without waiting. E_BUSY: it does not take its messages; E_WORKER: it has
 * died, and was ended. */
int process_send(struct process *p, const struct layer_message *m, int fd, struct err *err);

/* Waits at most `ms` for READY. */
int process_await_ready(struct process *p, int64_t ms, struct err *err);

#endif

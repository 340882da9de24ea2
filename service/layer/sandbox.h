/*
 * How imaged-layer gives up every right before it reads the first hostile byte
 * (DESIGN.md 11.6, c-style.md rule 14).
 *
 * Two steps, because a system-call filter that forbids new threads comes after
 * them, and a user namespace before:
 *
 *   sandbox_drop()   one thread: no_new_privs; own network and ipc namespaces;
 *                    nobody (root) or a user namespace (others); no capability in
 *                    any set, and that looked up again; landlock without any
 *                    allowed path; not dumpable
 *   sandbox_seal()   after the threads: resource limits, then the filter for all
 *                    threads: a list of allowed calls, everything else kills the
 *                    process
 *
 * Each step that must hold and does not is E_WORKER with the reason, and the caller
 * exits. What a machine may refuse for good reasons (user namespaces, landlock,
 * namespaces) is left out of the bits of layer_sandbox, and the note says why.
 * A root process that can leave root by neither way fails.
 *
 * No PR_SET_PDEATHSIG: that fires when the *thread* ends that spawned the worker,
 * and the daemon's threads come and go. The worker ends when its socket closes;
 * one that does not want to has RLIMIT_CPU.
 */
#ifndef SERVICE_LAYER_SANDBOX_H
#define SERVICE_LAYER_SANDBOX_H

#include "service/layer/protocol.h"

enum {
	SANDBOX_NOBODY = 65534,
	SANDBOX_CPU_SECONDS = 8 * 3600, /* for 512 GiB of bzip2, at 30 MB/s */
};

struct sandbox {
	uint32_t in_force; /* enum layer_sandbox bits */
	char note[LAYER_TEXT_MAX];
};

int sandbox_drop(struct sandbox *s, struct err *err);

/* What the filter allows beside memory and the messages on the socket. */
enum sandbox_work {
	/* layers: pread of what comes over the socket, write to the pipe that comes so */
	SANDBOX_READS_FILES,
	SANDBOX_FILTERS, /* read from descriptor 0, write to 1 */
	SANDBOX_TALKS,	 /* nothing */
	/* images: read from the pipe that comes over the socket, pwrite to the file */
	SANDBOX_WRITES_IMAGES,
};

/* `socket`: the only descriptor that the filter lets send and receive. */
int sandbox_seal(struct sandbox *s, int socket, enum sandbox_work work, struct err *err);

#endif

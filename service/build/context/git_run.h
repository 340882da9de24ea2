/*
 * The git program, run for a repository that somebody else made: no hooks, no configuration of
 * the machine or of a user, no prompts, no helper programs, no protocol but those that are
 * allowed; its environment is of our making, and all it writes lies in one directory.
 *
 * What it fetches, and how long it takes, has limits: the server may be anybody's.
 *
 * One thread each. Nothing is left running: a process ends with its struct, with all that it
 * started, and when the token fires.
 */
#ifndef SERVICE_BUILD_CONTEXT_GIT_RUN_H
#define SERVICE_BUILD_CONTEXT_GIT_RUN_H

#include <sys/types.h>

#include "proto/runtime/buf.h"
#include "proto/runtime/cancel.h"

enum { GIT_ARGUMENTS_MAX = 24, GIT_SAID_MAX = 16 * 1024, GIT_PIECE_BYTES = 256 * 1024 };

/* Of a repository and its submodules together. */
struct git_budget {
	int64_t bytes;	  /* that may yet be fetched */
	int64_t until_ms; /* clock_monotonic_ms() */
};

struct git {
	const char *program;   /* "git" */
	const char *directory; /* absolute; a bare repository once it was made */
	const char *protocols; /* as GIT_ALLOW_PROTOCOL */
	struct cancel *cancel; /* may be NULL */
	struct git_budget *budget;
};

struct git_process {
	const struct git *git;
	pid_t pid; /* 0: there is none */
	int out, errors, wake;
	int64_t look_ms; /* when its budget is looked at again */
	struct cancel_hook hook;
	struct buf said; /* the end of its standard error */
	uint8_t *piece;
};

/* `args`: behind "git" and our own options, ends with NULL. `g` lives as long as the process. E_UNSUPPORTED: there is
 * no git on this machine. */
int git_start(const struct git *g, const char *const *args, struct git_process *ret_process, struct err *err);
/* What it writes: 1, or 0 at its end, when it ended well. E_UNKNOWN with the last it said; E_LIMIT: the budget is
 * spent. */
int git_read(struct git_process *p, struct bytes *ret_data, struct err *err);
void git_end(struct git_process *p); /* kills it; also the cleanup function */

/* To its end; what it writes goes to `out`, E_LIMIT when that is too much; NULL: nowhere. */
int git_run(const struct git *g, const char *const *args, struct buf *out, struct err *err);

/* Takes what the repository has fetched off the budget. E_LIMIT. */
int git_spend(const struct git *g, struct err *err);

#endif

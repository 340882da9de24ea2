/*
 * A commit of a git repository becomes a context, by the git program (git_run.h).
 *
 * Only the commit is fetched, without its history where the server allows that, into a
 * directory of its own that goes with the call. Its files come as git stores them: 0644 or
 * 0755, the commit's time, no filters, no export attributes; those of its submodules too, each
 * at the commit that is written down. Protocols, also of submodules: https, http and git; file
 * where the service says so.
 *
 * All of it runs on the caller's thread. Failure: E_UNSUPPORTED without git, or for another
 * protocol; E_LIMIT: it has more bytes, or takes longer, than the limits allow; E_UNAVAILABLE with git's words;
 * E_NOT_FOUND: no such subdirectory; E_CONFLICT: the commit is not the one that was wanted.
 */
#ifndef SERVICE_BUILD_CONTEXT_CONTEXT_GIT_H
#define SERVICE_BUILD_CONTEXT_CONTEXT_GIT_H

#include "service/build/context/context_archive.h"

enum { GIT_COMMIT_MAX = 64 + 1, GIT_SUBMODULES_MAX = 256, GIT_SUBMODULE_DEPTH = 8, GIT_SECONDS_MAX = 60 * 60 };

#define GIT_BYTES_MAX (INT64_C(16) << 30)

struct context_git {
	const char *remote, *ref; /* as git_ref.h; "" is HEAD */
	const char *checksum;	  /* how the commit must begin; "": any */
	bool without_submodules;  /* they are empty directories */
	bool allow_file;
	bool keep_git_dir;		/* .git too, with the commit alone; not that of submodules */
	const char *program;		/* NULL: "git" */
	int64_t bytes_max, seconds_max; /* with its submodules; 0: GIT_BYTES_MAX, GIT_SECONDS_MAX */
};

struct context_git_result {
	char commit[GIT_COMMIT_MAX];
	size_t submodules; /* that were fetched */
};

/* `a`: its subdir is that of the repository. */
int context_git_read(const struct context_git *git, const struct context_archive *a,
		     struct context_git_result *ret_result, struct build_context **ret_context, struct err *err);

/* Which commit it is, as the remote says, without fetching it. E_NOT_FOUND: it does not tell that (a part of a
 * number). */
int context_git_find(const struct context_git *git, const struct context_archive *a, char ret_commit[GIT_COMMIT_MAX],
		     struct err *err);

/* Directories that a process has left behind that was killed. Before the first. */
void context_git_sweep(struct store *s);

#endif

/*
 * The submodules of a commit: what its tree says is another repository's commit, and where
 * .gitmodules says that repository is. One that .gitmodules does not know is passed over.
 */
#ifndef SERVICE_BUILD_CONTEXT_GIT_SUBMODULES_H
#define SERVICE_BUILD_CONTEXT_GIT_SUBMODULES_H

#include "service/build/context/git_run.h"

/* Borrowed. */
struct git_submodule {
	const char *path, *commit;
	const char *url; /* absolute */
};

/* visit() for each, in order of their paths, until one fails. `remote`: of the repository,
 * which relative URLs are relative to. */
int git_submodules(const struct git *g, const char *remote, const char *commit,
		   int (*visit)(void *arg, const struct git_submodule *m, struct err *err), void *arg, struct err *err);

#endif

/*
 * Git repositories as contexts and as sources of ADD (build.md 1.3):
 *
 *	https://host/repo.git#ref:dir     also http, ssh, git
 *	git@host:repo.git#ref:dir
 *	github.com/owner/repo             a context only
 *	...?ref=, tag=, branch=, subdir=, checksum=, commit=, keep-git-dir=, submodules=,
 *	mtime=, fetch-by-commit=
 *
 * Pure; in the arena. 1 when it is one, 0 when it is something else; E_INVALID when it is
 * one but its query is wrong.
 */
#ifndef SERVICE_BUILD_GIT_REF_H
#define SERVICE_BUILD_GIT_REF_H

#include "service/build/instruction.h"

struct git_ref {
	const char *remote;			     /* what git is given, without query and fragment */
	const char *short_name;			     /* "repo" */
	const char *ref, *subdir, *checksum, *mtime; /* "" when not given */
	bool like_a_path;			     /* "github.com/…": a local path could be the same */
	bool unencrypted;			     /* git: or http: */
	enum tristate keep_git_dir, submodules;
	bool fetch_by_commit;
};

int git_ref_parse(const char *text, struct arena *a, struct git_ref *ret_ref, struct err *err);

#endif

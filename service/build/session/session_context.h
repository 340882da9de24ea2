/*
 * One context of a build, wherever its files come from: what was said of it, and its files
 * once they are wanted. Inside of this folder.
 *
 *   session_contexts_open()   before anything is received: it is known what may come
 *   session_context_load()    when the build looks at it: asks, fetches, waits for its list
 *
 * load() is for the call's thread.
 */
#ifndef SERVICE_BUILD_SESSION_SESSION_CONTEXT_H
#define SERVICE_BUILD_SESSION_SESSION_CONTEXT_H

#include <stdatomic.h>

#include "service/build/context/archive_feed.h"
#include "service/build/context/build_context.h"
#include "service/build/git_ref.h"
#include "store/types/ignore.h"

struct session;

enum session_context_kind {
	SESSION_CONTEXT_NONE,
	SESSION_CONTEXT_DIRECTORY,
	SESSION_CONTEXT_ARCHIVE,
	SESSION_CONTEXT_HTTP,
	SESSION_CONTEXT_GIT,
	SESSION_CONTEXT_IMAGE,	/* docker-image:// */
	SESSION_CONTEXT_LAYOUT, /* oci-layout:// */
};

struct session_context {
	const Imaged__V1__BuildContext *message;
	const char *name;
	enum session_context_kind kind;
	const char *target;	  /* of IMAGE: a reference; of LAYOUT: the name of the context that holds it */
	const char *digest;	  /* of LAYOUT: "sha256:…"; "" */
	const char *tag;	  /* likewise */
	struct git_ref git;	  /* of GIT */
	struct archive_feed feed; /* of ARCHIVE */
	atomic_bool asked;	  /* of ARCHIVE: the client may send it */
	struct buf dockerfile;	  /* of ARCHIVE, HTTP: it is a Dockerfile, and has no files */
	struct build_context *files;
	bool loaded;
	struct ignore ignore;
	int64_t commit_s; /* of GIT: the commit's time; 0 */
};

int session_contexts_open(struct session *s, struct err *err);
/* Nothing comes any more. */
void session_contexts_fail(struct session *s, const struct err *why);
/* Files go behind the answer. Nobody uses them any more. */
void session_contexts_close(struct session *s);

/* "[internal] load .dockerignore" of a directory, or of no files
 * at all, where there is none; the client has sent it along. Once. */
void session_contexts_tell_ignore(struct session *s);

int session_context_load(struct session *s, struct session_context *c, struct err *err);
/* A file of it, appended: E_NOT_FOUND; E_LIMIT past the buffer's maximum. Loaded. */
int session_context_read(struct session *s, struct session_context *c, const char *path, struct buf *out,
			 struct err *err);

#endif

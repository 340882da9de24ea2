/*
 * Where a build's files come from, as the user named it: the context, the Dockerfile, named
 * contexts, local caches (build.md 1.4). Directories are listed here; of everything else the
 * service gets the name.
 *
 * One thread until uploads begin; then only they read it. Failure in docker's words.
 */
#ifndef CLIENT_CLI_BUILD_SOURCES_H
#define CLIENT_CLI_BUILD_SOURCES_H

#include "client/cli/build/build_options.h"
#include "client/cli/build/context_upload.h"

enum { SOURCES_MAX = 256, DOCKERFILE_MAX = 16 * 1024 * 1024 };

struct source_directory;

struct build_sources {
	struct arena *arena;
	struct upload_source uploads[SOURCES_MAX]; /* of what this machine has */
	size_t n_uploads;
	struct source_directory *directories; /* the latest first */
	struct input archive;		      /* standard input, as a context */

	Imaged__V1__BuildContext context;
	Imaged__V1__BuildContext *named[SOURCES_MAX];
	size_t n_named;

	struct bytes dockerfile;
	const char *dockerfile_name;
	bool dockerfile_in_context;
	bool dockerfile_is_missing; /* there is no file of that name */
	bool is_empty;		    /* standard input, which was to be the context */
};

/* Keep it where it is. Close it also when opening fails. */
int build_sources_open(struct build_sources *s, struct arena *a, const struct build_options *o, const char *context,
		       struct err *err);
void build_sources_close(struct build_sources *s); /* also the cleanup function; fine on zeros */

/* A directory of this machine as one more named context, for a cache: its name, in the arena; NULL:
 * err says why there is none. */
const char *build_sources_add_directory(struct build_sources *s, const char *path, struct err *err);

/* The whole file, in the arena. `path` NULL: standard input. errno tells why it could not be read. */
int read_whole_file(const char *path, size_t max, struct arena *a, struct bytes *ret_bytes, struct err *err);

#endif

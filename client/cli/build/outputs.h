/*
 * What is to become of a build (--output, --push, --load), and the part of it that comes here:
 * archives into files or to standard output, trees into directories.
 *
 * Outputs come one after another. One thread. Failure in the words of docker's buildx.
 */
#ifndef CLIENT_CLI_BUILD_OUTPUTS_H
#define CLIENT_CLI_BUILD_OUTPUTS_H

#include "client/cli/build/build_options.h"
#include "client/cli/build/output_tree.h"
#include "client/cli/output_file.h"
#include "proto/runtime/arena.h"

enum { OUTPUTS_MAX = 64 };

struct build_output {
	Imaged__V1__BuildOutput message;
	enum { OUTPUT_SERVICE, OUTPUT_STDOUT, OUTPUT_FILE, OUTPUT_DIRECTORY } to;
	const char *dest;
	struct output_tree *tree;
	struct output_file file;
	bool ended;
};

struct build_outputs {
	struct build_output items[OUTPUTS_MAX];
	Imaged__V1__BuildOutput *messages[OUTPUTS_MAX];
	size_t n;      /* messages */
	size_t n_more; /* behind them: directories of caches, which have no message */
};

int build_outputs_parse(struct build_outputs *outputs, const struct build_options *o, struct arena *a, struct err *err);
/* A directory that gets a cache, or NULL; the service counts it behind the outputs. Only after
 * parsing. */
int build_outputs_add_cache(struct build_outputs *outputs, const char *path, struct err *err);
/* Where nothing can be written, before anything is built. */
int build_outputs_check(const struct build_outputs *outputs, struct err *err);

/* OutputEntry and OutputData; true when it was one. */
int build_outputs_take(struct build_outputs *outputs, const Imaged__V1__BuildEvent *event, bool *ret_taken,
		       struct err *err);
/* Gives files their names, at the end of a build that went well. */
int build_outputs_finish(struct build_outputs *outputs, struct err *err);
void build_outputs_free(struct build_outputs *outputs); /* also the cleanup function */

#endif

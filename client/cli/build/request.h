/*
 * The first message of a build, made of the flags: each value checked here where docker's buildx
 * checks it, in its words. What comes from this machine is in it: secrets, variables, proxies,
 * logins of the registries that the build names.
 *
 * Everything is in the arena, but secrets and logins, which build_request_wipe() wipes.
 */
#ifndef CLIENT_CLI_BUILD_REQUEST_H
#define CLIENT_CLI_BUILD_REQUEST_H

#include "client/cli/build/agents.h"
#include "client/cli/build/outputs.h"
#include "client/cli/build/sources.h"
#include "client/cli/credentials.h"

enum { SECRET_BYTES_MAX = 500 * 1024, REQUEST_LOGINS_MAX = 64 };

struct build_request {
	Imaged__V1__BuildStart start;
	struct arena arena;
	struct build_sources sources;
	struct build_outputs outputs;
	struct build_agents agents;
	struct credentials logins[REQUEST_LOGINS_MAX];
	size_t n_logins;
	Imaged__V1__StepLimits limits;
};

/* Flags that are wrong by themselves. Their messages have no "failed to build: " in front. */
int build_request_flags(struct build_request *q, const struct build_options *o, struct err *err);
/* Everything else. */
int build_request_make(struct build_request *q, struct cli *cli, const struct build_options *o, const char *context,
		       struct err *err);
void build_request_wipe(struct build_request *q); /* also the cleanup function */

/* Logins of the registries that the tags, caches, named contexts and the Dockerfile's FROM and
 * --from name. */
int request_logins(struct build_request *q, struct cli *cli, struct err *err);
/* Secrets of --secret and agents of --ssh. */
int request_secrets(struct build_request *q, const struct build_options *o, struct err *err);
int request_agents(struct build_request *q, const struct build_options *o, struct err *err);
/* --cache-from and --cache-to. */
int request_caches(struct build_request *q, const struct build_options *o, struct err *err);

#endif

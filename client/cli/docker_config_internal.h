/* What docker_config.c (the file) and docker_login.c (what is found in it) share. */
#ifndef CLIENT_CLI_DOCKER_CONFIG_INTERNAL_H
#define CLIENT_CLI_DOCKER_CONFIG_INTERNAL_H

#include <jansson.h>

#include "client/cli/docker_config.h"

struct docker_config {
	char *path;
	json_t *root;		      /* an object */
	bool damaged;		      /* the file could not be read: it is not overwritten */
	struct docker_config *logins; /* the file that credentials are in instead; NULL: this one */
};

static inline struct docker_config *docker_config_logins(struct docker_config *c)
{
	return c->logins ? c->logins : c;
}

void wipe_free(char **text);

#endif

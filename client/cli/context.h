/* The contexts that `docker context` keeps: names for addresses of daemons. */
#ifndef CLIENT_CLI_CONTEXT_H
#define CLIENT_CLI_CONTEXT_H

#include "client/cli/cli.h"

/* The address that --context stands for, without it DOCKER_CONTEXT where no address is in the
 * environment; NULL: none, or "default". Free it. E_NO_DAEMON in docker's words. */
int context_host(struct cli *cli, char **ret_host, struct err *err);

#endif

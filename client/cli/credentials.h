/*
 * The credentials of a call: what the user's configuration holds for a registry, as
 * the API wants it. All commands that make the daemon talk to a registry use this.
 *
 *	CLEANUP(credentials_free) struct credentials c = { 0 };
 *	request.credentials = credentials_for(cli, &ref, &c);
 */
#ifndef CLIENT_CLI_CREDENTIALS_H
#define CLIENT_CLI_CREDENTIALS_H

#include "client/cli/cli.h"
#include "client/cli/docker_config.h"
#include "imaged/v1/common.pb-c.h"
#include "store/types/reference.h"

struct credentials {
	struct login login;
	Imaged__V1__Credentials message; /* points into `login` and at the registry's name */
};

void credentials_free(struct credentials *c); /* wipes; also the cleanup function */

/* NULL when there is nothing to show. A helper that fails is told to the user, and the
 * call is made without. The reference must outlive the message. */
Imaged__V1__Credentials *credentials_for(struct cli *cli, const struct reference *ref, struct credentials *c);
/* For a whole registry, HOST[:PORT] ("docker.io"): searches, lists of repositories. */
Imaged__V1__Credentials *credentials_for_registry(struct cli *cli, const char *registry, struct credentials *c);

#endif

/*
 * What a call shows to a registry: the user's login for it, from config.json or a
 * credential helper.
 */
#ifndef CLIENT_CLI_REGISTRY_LOGIN_H
#define CLIENT_CLI_REGISTRY_LOGIN_H

#include "client/cli/cli.h"
#include "client/cli/docker_config.h"
#include "imaged/v1/common.pb-c.h"

struct registry_login {
	struct login login;
	Imaged__V1__Credentials message;
};

/* For the domain of a reference. NULL when there is no login; a helper that fails is told
 * on stderr, and the call is tried without. Borrows from *l and `domain`. */
Imaged__V1__Credentials *registry_login(struct cli *cli, const char *domain, struct registry_login *l);
void registry_login_wipe(struct registry_login *l); /* also the cleanup function */

#endif

#include "client/cli/registry_login.h"

Imaged__V1__Credentials *registry_login(struct cli *cli, const char *domain, struct registry_login *l)
{
	struct login *login = &l->login;
	struct err err = ERR_INIT;

	if (docker_config_get(cli_config(cli), docker_config_key(domain), login, &err))
		cli_warn("WARNING: no credentials for %s: %s\n", domain, err.text);
	if (!login->username || (!*login->username && !*login->identity_token))
		return NULL;
	imaged__v1__credentials__init(&l->message);
	l->message.server_address = (char *)domain;
	l->message.username = login->username;
	l->message.password = login->password;
	l->message.identity_token = login->identity_token;
	return &l->message;
}

void registry_login_wipe(struct registry_login *l)
{
	login_wipe(&l->login);
}

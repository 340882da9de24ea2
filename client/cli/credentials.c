#include "client/cli/credentials.h"

void credentials_free(struct credentials *c)
{
	login_wipe(&c->login);
	*c = (struct credentials){ 0 };
}

static Imaged__V1__Credentials *message_of(struct credentials *c, const char *registry)
{
	if (!login_is_set(&c->login))
		return NULL;
	c->message = (Imaged__V1__Credentials)IMAGED__V1__CREDENTIALS__INIT;
	c->message.server_address = (char *)registry;
	c->message.username = c->login.username;
	c->message.password = c->login.password;
	c->message.identity_token = c->login.identity_token;
	c->message.registry_token = c->login.registry_token;
	return &c->message;
}

/* docker goes on without a word. */
static void warn(const struct cli *cli, const char *registry, const struct err *err)
{
	if (!cli_is_docker(cli))
		cli_warn("WARNING: no credentials for %s: %s\n", registry, err->text);
}

Imaged__V1__Credentials *credentials_for(struct cli *cli, const struct reference *ref, struct credentials *c)
{
	struct err err = ERR_INIT;

	*c = (struct credentials){ 0 };
	if (docker_config_get_for(cli_config(cli), ref->domain, ref->path, &c->login, &err))
		warn(cli, ref->domain, &err);
	return message_of(c, ref->domain);
}

Imaged__V1__Credentials *credentials_for_registry(struct cli *cli, const char *registry, struct credentials *c)
{
	struct err err = ERR_INIT;

	*c = (struct credentials){ 0 };
	if (docker_config_get(cli_config(cli), docker_config_key(registry), &c->login, &err))
		warn(cli, registry, &err);
	return message_of(c, registry);
}

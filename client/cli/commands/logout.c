#include "client/cli/commands/commands.h"
#include "client/cli/docker_config.h"

/* The forms under which docker may have stored a server. */
static int erase(struct docker_config *config, const char *server, const char *host, struct err *err)
{
	static const char *const schemes[] = { "", "http://", "https://" };
	int r = docker_config_erase(config, server, err);

	for (size_t i = 0; i < ARRAY_LEN(schemes) && !r; i++) {
		CLEANUP(freep) char *key = format("%s%s", schemes[i], host);

		r = key ? docker_config_erase(config, key, err) : fail_nomem(err);
	}
	return r;
}

static int run(struct cli *cli, UNUSED const void *options, int argc, char **argv)
{
	const char *server = argc && *argv[0] ? argv[0] : HUB_SERVER;
	bool hub = !strcmp(server, HUB_SERVER);
	CLEANUP(freep) char *host = hub ? strdup(server) : docker_config_host(server);
	struct docker_config *config = cli_config(cli);
	struct err err = ERR_INIT;
	int r;

	if (!host) {
		fail_nomem(&err);
		return cli_fail(&err);
	}
	cli_print("Removing login credentials for %s\n", host);
	r = hub ? docker_config_erase(config, server, &err) : erase(config, server, host, &err);
	if (!r)
		return 0;
	cli_warn("WARNING: could not erase credentials:\n%s: %s\n", host, err.text);
	return cli_is_docker(cli) ? 0 : 1;
}

const struct command_spec spec_logout = {
	.usage = "[SERVER]",
	.summary = "Log out from a registry",
	.help = "Log out from a registry.\nIf no server is specified, the default is defined by the daemon.",
	.max_args = 1,
	.run = run,
};

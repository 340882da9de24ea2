#include "client/cli/cli.h"

const char *cli_program(const char *argv0)
{
	const char *slash = argv0 ? strrchr(argv0, '/') : NULL;
	const char *name = slash ? slash + 1 : argv0;

	return name && *name ? name : "imagectl";
}

bool cli_is_docker(const struct cli *cli)
{
	return !strcmp(cli->program, "docker");
}

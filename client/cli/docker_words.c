#include "client/cli/docker_words.h"

static const struct docker_words words[] = {
	{ "", NULL, "A self-sufficient runtime for containers", NULL },
	{ "builder prune", "", NULL, NULL },
	{ "manifest", "COMMAND", "Manage Docker image manifests and manifest lists",
	  "The **docker manifest** command has subcommands for managing image manifests and\n"
	  "manifest lists. A manifest list allows you to use one name to refer to the same image\n"
	  "built for multiple architectures.\n\n"
	  "To see help for a subcommand, use:\n\n"
	  "    docker manifest CMD --help\n\n"
	  "For full details on using docker manifest lists, see the registry v2 specification." },
	{ "system", NULL, "Manage Docker", NULL },
	{ "system df", NULL, "Show docker disk usage", NULL },
	{ "version", NULL, "Show the Docker version information", NULL },
};

const struct docker_words *docker_words(const struct cli *cli, const char *path)
{
	if (!cli_is_docker(cli))
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (!strcmp(words[i].path, path))
			return &words[i];
	return NULL;
}

const char *docker_flag(const struct cli *cli, const char *name)
{
	static const char *const flags[][2] = {
		{ "context", "Name of the context to use to connect to the daemon (overrides DOCKER_HOST env var and "
			     "default context set with \"docker context use\")" },
		{ "host", "Daemon socket to connect to" },
		{ "tree", "List multi-platform images as a tree (EXPERIMENTAL)" },
		{ "volumes", "Prune anonymous volumes" },
	};

	for (size_t i = 0; cli_is_docker(cli) && i < ARRAY_LEN(flags); i++)
		if (!strcmp(flags[i][0], name))
			return flags[i][1];
	return NULL;
}

bool docker_is_experiment(const struct cli *cli, const char *path)
{
	static const char manifest[] = "manifest";
	size_t len = strlen(manifest);

	return cli_is_docker(cli) && !strncmp(path, manifest, len) && (!path[len] || path[len] == ' ');
}

/*
 * What docker's help says in other words than ours: of commands that name docker itself, or that
 * do more there. Called imagectl, nothing of this shows.
 */
#ifndef CLIENT_CLI_DOCKER_WORDS_H
#define CLIENT_CLI_DOCKER_WORDS_H

#include "client/cli/cli.h"

struct docker_words {
	const char *path;		    /* "system df"; "": the program */
	const char *usage, *summary, *help; /* NULL: as ours, help: as the summary */
};

/* Of a command by its path without the program; NULL when we are not called docker, or have the
 * same words. */
const struct docker_words *docker_words(const struct cli *cli, const char *path);
/* The same of a flag, in whatever command. */
const char *docker_flag(const struct cli *cli, const char *name);
/* Docker warns in the help of a command that it is an experiment. */
bool docker_is_experiment(const struct cli *cli, const char *path);

#endif

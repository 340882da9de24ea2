/*
 * The help of commands, from their tables, in docker's layout. The program called docker tells of
 * what docker has, in its words and order.
 */
#ifndef CLIENT_CLI_HELP_H
#define CLIENT_CLI_HELP_H

#include "client/cli/cli.h"

/* Of the command at cli->path; NULL: of the program. */
void help_put(const struct cli *cli, struct buf *out, const struct command *command);
/* What follows "Usage:  " in errors: the path and its arguments. */
void help_put_usage(const struct cli *cli, struct buf *out, const struct command *command);

#endif

/*
 * imagectl.1: from a template, and from the tables of commands and flags.
 *
 * The template is a manual page whose section COMMANDS holds only prose, each piece behind a line
 * `.\" command: NAME`. In their place come all commands in the order of the tables, each with its
 * arguments, summary, prose, other names and flags. "@OPTIONS@" stands for the global flags.
 */
#ifndef CLIENT_CLI_DOCS_MANUAL_H
#define CLIENT_CLI_DOCS_MANUAL_H

#include "client/cli/docs/catalog.h"

/* E_INVALID: the template has prose of a command that is not there. */
int manual_put(const struct catalog *c, const char *template, struct buf *out, struct err *err);

#endif

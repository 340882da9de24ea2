/*
 * Completions for shells: a template with the logic, and from the tables what there is to offer.
 *
 * The line "@COMMANDS@" of the template becomes the branches of a case over the path of a command
 * ("image ls"; "" is the program), which set
 *	names      the commands that may follow (zsh and fish: with their summaries)
 *	flags      its flags (the same)
 *	valued     those that take a value
 *	values     FLAG=KIND of these: "file", "directory", or words with "," between
 *	arguments  "images", "files", "directories", or nothing
 * each a list.
 */
#ifndef CLIENT_CLI_DOCS_COMPLETION_H
#define CLIENT_CLI_DOCS_COMPLETION_H

#include "client/cli/docs/catalog.h"

/* "bash", "zsh" or "fish". */
int completion_put(const struct catalog *c, const char *shell, const char *template, struct buf *out, struct err *err);

#endif
